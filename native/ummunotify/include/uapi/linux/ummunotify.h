/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * ummunotify: learn when the kernel invalidates a mapping of this process.
 *
 * This header is the whole contract between /dev/ummunotify and its users.
 *
 * open("/dev/ummunotify", O_RDONLY | O_CLOEXEC)
 *	The file watches the address space of the process that opened it.
 *	Always pass O_CLOEXEC: the descriptor is of no use after exec().
 *	EINVAL	opened for writing
 *	ENOMEM	no memory for the context
 *
 * read(fd, events, bytes)
 *	Delivers whole struct ummunotify_event records, at most one page of
 *	them. Blocks while nothing is pending. A range is reported once until
 *	its event has been read, and is watched again from then on. Once no
 *	event is left, one UMMUNOTIFY_EVENT_TYPE_LAST follows: everything that
 *	moved the counter up to the value it carries has been delivered. LAST
 *	needs a record of its own, so when the events fill the buffer it comes
 *	with the next read.
 *	EAGAIN	O_NONBLOCK is set and nothing is pending
 *	EFAULT	bad buffer; no event is lost, all are delivered again
 *	EINTR	a signal handler ran before anything was pending
 *	EINVAL	the buffer is shorter than one event
 *	EIO	the caller's address space is not the one being watched
 *
 * poll(), select(), epoll
 *	POLLIN | POLLRDNORM while a read would not block.
 *
 * fcntl(F_SETOWN), fcntl(F_SETFL, O_ASYNC)
 *	SIGIO (or the F_SETSIG signal, with si_code POLL_IN) whenever the
 *	counter advances.
 *
 * mmap(NULL, page size, PROT_READ, MAP_SHARED, fd, 0)
 *	One page. Its first eight bytes are a native-endian 64-bit counter
 *	that advances whenever an invalidation hits at least one range. While
 *	it equals the last value delivered with LAST, nothing is pending, and
 *	no range has been invalidated. It advances before the first page table
 *	entry changes, so in particular before munmap() returns. A reader that
 *	cannot load 64 bits at once loads the low word: it changes every time.
 *	EACCES	PROT_WRITE was asked for; mprotect() cannot add it later
 *	EINVAL	another length or offset
 *
 * lseek(), pread()
 *	ESPIPE
 *
 * Any ioctl not listed below
 *	ENOTTY
 */
#ifndef _UAPI_LINUX_UMMUNOTIFY_H
#define _UAPI_LINUX_UMMUNOTIFY_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * struct ummunotify_register_ioctl - a range to watch
 * @start:	first address of the range
 * @end:	first address behind the range; a range with @end <= @start is
 *		accepted and never reported
 * @user_cookie: what events call this range
 * @flags:	ignored, whatever it holds
 * @reserved:	ignored, whatever it holds; with UMMUNOTIFY_FEATURE_GENERATION
 *		the slot of the range's generation word, or UMMUNOTIFY_NO_SLOT
 */
struct ummunotify_register_ioctl {
	__u64 start;
	__u64 end;
	__u64 user_cookie;
	__u32 flags;
	__u32 reserved;
};

/**
 * UMMUNOTIFY_EXCHANGE_FEATURES - agree on extensions
 *
 * In: UMMUNOTIFY_FEATURE_TAG and the features that the caller wants. Out: the
 * tag and those of them that the kernel grants, for this file. Without the tag
 * in the upper 16 bits the answer is 0. Without this call, or with an answer
 * of 0, the interface is exactly the one described above.
 *
 * EFAULT	bad pointer; nothing was agreed on
 * EINTR	killed
 * EINVAL	there was a register, a read or an exchange before
 * EIO		the caller's address space is not the one being watched
 * ENOMEM	no memory for a feature
 */
#define UMMUNOTIFY_EXCHANGE_FEATURES	_IOWR('U', 1, __u32)

/* A client that passes an uninitialised word must not get a feature. */
#define UMMUNOTIFY_FEATURE_TAG		0x554d0000U
#define UMMUNOTIFY_FEATURE_TAG_MASK	0xffff0000U

/* Say in ummunotify_event.flags why a range was invalidated. */
#define UMMUNOTIFY_FEATURE_KIND		(1U << 0)

/*
 * Do not report changes after which pages that are pinned are still those
 * that the addresses map to: fork() and spawning a process (not of private
 * huge pages), write-back of a file's pages, the soft-dirty bit, automatic NUMA
 * balancing and write protection by userfaultfd (with PREEMPT_RT these two are
 * reported all the same). mprotect() is reported as before. Only for
 * clients on kernels where a fork does not part a pinned page from its owner
 * (ibv_is_fork_initialized() says IBV_FORK_UNNEEDED).
 */
#define UMMUNOTIFY_FEATURE_TRANSLATION	(1U << 1)

/*
 * Generation words tell, without a call, which ranges were hit.
 *
 * mmap(NULL, length, PROT_READ, MAP_SHARED, fd, page size) maps an array of
 * native-endian __u32, UMMUNOTIFY_SLOTS of them or, with a smaller length, the
 * first ones. REGISTER chooses a slot of it in reserved, or none with
 * UMMUNOTIFY_NO_SLOT; several ranges may share one. The word changes with
 * every hit of the range, before the counter does. So a reader that loads the
 * counter first and the word behind it (acquire) and finds the word unchanged
 * knows that none of the hits counted so far was one of this range.
 *
 * Load the word that a range starts with before REGISTER: a hit during the
 * call has changed it already when the call returns. Nothing resets a word,
 * and it does not change while no range has its slot.
 *
 * mmap() at this offset gives
 * EACCES	PROT_WRITE was asked for; mprotect() cannot add it later
 * EINVAL	more than UMMUNOTIFY_SLOTS words, or the feature is not granted
 */
#define UMMUNOTIFY_FEATURE_GENERATION	(1U << 2)

#define UMMUNOTIFY_SLOTS	(1U << 20)
#define UMMUNOTIFY_NO_SLOT	0xffffffffU

/* UMMUNOTIFY_UNREGISTER_BATCH */
#define UMMUNOTIFY_FEATURE_BATCH	(1U << 3)

/**
 * UMMUNOTIFY_REGISTER_REGION - watch a range
 *
 * Ranges may overlap and repeat; they need not be mapped. An invalidation
 * that is already going on in the range is waited for, so the range maps
 * what it maps now until an event says otherwise. Events may arrive before
 * the call returns.
 *
 * EFAULT	bad pointer
 * EINTR	killed
 * EINVAL	a range with this cookie exists in this file; or, with
 *		UMMUNOTIFY_FEATURE_GENERATION, there is no such slot
 * EIO		the caller's address space is not the one being watched
 * ENOMEM	no memory, or the memory control group has none left
 * ENOSPC	this file has max_ranges (a module parameter) ranges
 */
#define UMMUNOTIFY_REGISTER_REGION	_IOW('U', 2, \
					     struct ummunotify_register_ioctl)

/**
 * UMMUNOTIFY_UNREGISTER_REGION - stop watching the range with a cookie
 *
 * Once this returns, no further event carries the cookie. If one was pending,
 * the counter has moved, and a LAST that says so is still delivered.
 *
 * EFAULT	bad pointer
 * EINTR	killed
 * EINVAL	no range has this cookie
 * EIO		the caller's address space is not the one being watched
 */
#define UMMUNOTIFY_UNREGISTER_REGION	_IOW('U', 3, __u64)

/**
 * struct ummunotify_batch - cookies to unregister in one call
 * @cookies:	address of an array of __u64
 * @count:	how many, at most UMMUNOTIFY_BATCH_MAX
 * @reserved:	0
 */
struct ummunotify_batch {
	__u64 cookies;
	__u32 count;
	__u32 reserved;
};

#define UMMUNOTIFY_BATCH_MAX	1024

/**
 * UMMUNOTIFY_UNREGISTER_BATCH - stop watching many ranges
 *
 * What UMMUNOTIFY_UNREGISTER_REGION does, for each cookie in turn. A cookie
 * that no range has (any more) is passed over. Returns how many ranges were
 * unregistered: less than count says that some cookies were not known. All
 * cookies are read before the first range is touched.
 *
 * EFAULT	bad pointer; nothing was unregistered
 * EINTR	killed; nothing was unregistered
 * EINVAL	count is too large, or reserved is not 0
 * EIO		the caller's address space is not the one being watched
 * ENOMEM	no memory for the cookies
 * ENOTTY	UMMUNOTIFY_FEATURE_BATCH has not been granted
 */
#define UMMUNOTIFY_UNREGISTER_BATCH	_IOW('U', 4, struct ummunotify_batch)

/* struct ummunotify_event.type */
enum {
	UMMUNOTIFY_EVENT_TYPE_INVAL	= 0,
	UMMUNOTIFY_EVENT_TYPE_LAST	= 1,
};

/*
 * struct ummunotify_event.flags. The kinds need UMMUNOTIFY_FEATURE_KIND; an
 * event that stands for several hits has the kinds of all of them.
 */
enum {
	UMMUNOTIFY_EVENT_FLAG_HINT	= 1 << 0,

	/* munmap(), MAP_FIXED over it, mremap() away */
	UMMUNOTIFY_KIND_UNMAP		= 1 << 8,
	/*
	 * a page dropped or replaced: madvise(), truncation, a punched hole,
	 * copy on write, reclaim, migration, a huge page split or collapsed
	 */
	UMMUNOTIFY_KIND_CLEAR		= 1 << 9,
	/* mprotect(), NUMA balancing, userfaultfd write protection */
	UMMUNOTIFY_KIND_PROTECTION	= 1 << 10,
	/* write-protected page by page: fork(), write-back of a file */
	UMMUNOTIFY_KIND_WRITE_PROTECT	= 1 << 11,
	/* soft-dirty bits cleared */
	UMMUNOTIFY_KIND_SOFT_DIRTY	= 1 << 12,
	/* migrated to or from a device's memory */
	UMMUNOTIFY_KIND_MIGRATE		= 1 << 13,
	/* made exclusive to a device */
	UMMUNOTIFY_KIND_EXCLUSIVE	= 1 << 14,
	/* a reason that this list does not know */
	UMMUNOTIFY_KIND_OTHER		= 1 << 15,

	UMMUNOTIFY_KIND_MASK		= 0xff00,
};

/**
 * struct ummunotify_event - what read() delivers
 * @type:	UMMUNOTIFY_EVENT_TYPE_INVAL: the range has been invalidated;
 *		UMMUNOTIFY_EVENT_TYPE_LAST: nothing else is pending
 * @flags:	with UMMUNOTIFY_EVENT_FLAG_HINT there was one invalidation, and
 *		the hints are the part of the range that it hit; without, there
 *		were several, and the hints are the whole range
 * @hint_start:	inclusive; 0 for LAST
 * @hint_end:	exclusive; 0 for LAST
 * @user_cookie_counter: INVAL: the cookie of the range; LAST: the counter
 */
struct ummunotify_event {
	__u32 type;
	__u32 flags;
	__u64 hint_start;
	__u64 hint_end;
	__u64 user_cookie_counter;
};

#endif /* _UAPI_LINUX_UMMUNOTIFY_H */
