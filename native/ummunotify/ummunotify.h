/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of the module share.
 *
 * Locks, outermost first:
 *
 *   ctx->mutex	  may sleep. Readers hold it from taking events off the list
 *		  until they are copied or put back, UNREGISTER to take a range
 *		  away, so neither sees the other half done. Nobody holds it
 *		  while waiting for an event or for an invalidation to end.
 *   mmap_lock	  copying to user space and attaching the notifier take it
 *		  inside ctx->mutex, so mmap() must not take ctx->mutex.
 *   ctx->lock	  spinlock, innermost: both trees, the pending list, the
 *		  counter and the open invalidations. The MMU notifier takes
 *		  only this one. Nothing is allocated, freed, woken up or
 *		  copied to user space under it.
 */
#ifndef _UMMUNOTIFY_H
#define _UMMUNOTIFY_H

#include <linux/bitmap.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/ummunotify.h>

/*
 * For testing the tests: "make FAULT=n" builds the driver with one fault of
 * the original put back. Without it these tests are constant and vanish.
 *
 *   1 use after free on close	5 every operation walks all ranges
 *   2 lost LAST			6 no limit, no accounting, root only
 *   3 EFAULT loses events	7 wakes under the lock, EINTR, VM_MAYWRITE
 *   4 acts at the start only
 */
#ifndef UMMUNOTIFY_FAULT
#define UMMUNOTIFY_FAULT 0
#endif
#define FAULT(n) (UMMUNOTIFY_FAULT == (n))

/* A read delivers at most one page. */
#define UMMUNOTIFY_EVENTS (PAGE_SIZE / sizeof(struct ummunotify_event))

/* Pages of generation words. */
#define UMMUNOTIFY_WORDS (PAGE_SIZE / sizeof(u32))
#define UMMUNOTIFY_WORD_PAGES DIV_ROUND_UP(UMMUNOTIFY_SLOTS, UMMUNOTIFY_WORDS)

/*
 * One watched range. There may be very many: the size is checked at build
 * time to stay within 128 bytes.
 *
 * @overlap:	node in ctx->overlap; cleared for an empty range
 * @by_cookie:	node in ctx->cookies
 * @start:	inclusive
 * @end:	exclusive
 * @subtree_last: largest last address below @overlap
 * @armed:	ctx->open.seq when this range was inserted
 * @pending:	in ctx->pending while an event waits to be read
 * @hint_start:	for the pending event
 * @hint_end:	for the pending event
 * @slot:	of its generation word, or UMMUNOTIFY_NO_SLOT
 * @kinds:	for the pending event, UMMUNOTIFY_KIND_*
 * @merged:	the pending event stands for several hits
 */
struct ummunotify_range {
	struct rb_node overlap;
	struct rb_node by_cookie;
	u64 start;
	u64 end;
	u64 subtree_last;
	u64 cookie;
	u64 armed;
	struct list_head pending;
	u64 hint_start;
	u64 hint_end;
	u32 slot;
	u16 kinds;
	bool merged;
};

/* An invalidation between its start and its end. */
struct ummunotify_inval {
	const struct mmu_notifier_range *key;
	u64 start;
	u64 last;
	u64 seq;
	bool counts;	/* not of the kind that TRANSLATION is silent about */
	bool hit;	/* at least one range, at the start */
};

/*
 * The invalidations that are open now. Each start gets the next @seq.
 *
 * @seq:	of the latest start
 * @places:	how many are told apart, the length of @slots and @slot
 * @slots:	which of @slot are in use
 * @spilled:	how many did not fit into @slot
 * @spill_start: with @spill_last, a span that covers all spilled ones
 * @spill_epoch: how often @spilled has fallen to zero
 * @waiters:	how many REGISTER calls wait for an end
 */
struct ummunotify_open {
	u64 seq;
	unsigned int places;
	unsigned long *slots;
	struct ummunotify_inval *slot;
	unsigned long spilled;
	u64 spill_start;
	u64 spill_last;
	u64 spill_epoch;
	unsigned int waiters;
};

/* What a REGISTER call waits for: see ummunotify_wait_settled(). */
struct ummunotify_settle {
	u64 start;
	u64 last;
	u64 seq;
	u64 spill_epoch;
	bool spilled;
};

/*
 * One open file.
 *
 * @mm:		the address space watched; a reference on the structure only
 * @started:	the notifier is attached or a read has been tried: features can
 *		no longer change. Set under @mutex.
 * @features:	granted ones; no longer changes once @started
 * @attached:	@notifier is registered. Set under @mutex.
 * @ranges:	how many there are, within max_ranges
 * @count:	what the counter page shows
 * @read_seq:	@open.seq when a reader last took events off @pending
 * @readable:	there is a LAST, or at least one event and a LAST, to deliver.
 *		Set by whatever advances @count, cleared only by delivering a
 *		LAST, so no advance stays without one.
 * @words:	UMMUNOTIFY_WORD_PAGES pages, each NULL until somebody needs it; NULL
 *		without UMMUNOTIFY_FEATURE_GENERATION
 * @events:	UMMUNOTIFY_EVENTS records, for the reader that holds @mutex
 * @taken:	the range behind each record, NULL for LAST
 */
struct ummunotify_ctx {
	struct mmu_notifier notifier;
	struct mm_struct *mm;
	struct mutex mutex;	/* readers against UNREGISTER; see above */
	bool started;
	bool attached;
	u32 features;

	spinlock_t lock;	/* everything from here to @open */
	struct rb_root_cached overlap;
	struct rb_root cookies;
	struct list_head pending;
	unsigned int ranges;
	u64 count;
	u64 read_seq;
	bool readable;
	struct ummunotify_open open;

	struct page *counter;
	struct page **words;
	wait_queue_head_t settle_wait;
	wait_queue_head_t read_wait;
	struct fasync_struct *fasync;
	struct ummunotify_event *events;
	struct ummunotify_range *taken[UMMUNOTIFY_EVENTS];
};

/* True in the process, or the threads, whose address space is watched. */
static inline bool ummunotify_is_owner(const struct ummunotify_ctx *ctx)
{
	return current->mm == ctx->mm;
}

/* main.c */
int ummunotify_start(struct ummunotify_ctx *ctx);

/* range.c */
int ummunotify_range_init(void);
void ummunotify_range_exit(void);
struct ummunotify_range *
ummunotify_range_alloc(const struct ummunotify_register_ioctl *reg);
void ummunotify_range_free(struct ummunotify_range *range);
int ummunotify_range_insert(struct ummunotify_ctx *ctx,
			    struct ummunotify_range *range);
struct ummunotify_range *ummunotify_range_remove(struct ummunotify_ctx *ctx,
						 u64 cookie);
void ummunotify_range_free_all(struct ummunotify_ctx *ctx);
struct ummunotify_range *ummunotify_range_first(struct ummunotify_ctx *ctx,
						u64 start, u64 last);
struct ummunotify_range *ummunotify_range_next(struct ummunotify_range *range,
					       u64 start, u64 last);

/* notifier.c */
int ummunotify_open_init(struct ummunotify_open *open);
void ummunotify_open_exit(struct ummunotify_open *open);
int ummunotify_attach(struct ummunotify_ctx *ctx);
void ummunotify_detach(struct ummunotify_ctx *ctx);
bool ummunotify_must_settle(struct ummunotify_ctx *ctx,
			    const struct ummunotify_range *range,
			    struct ummunotify_settle *settle);
int ummunotify_wait_settled(struct ummunotify_ctx *ctx,
			    const struct ummunotify_settle *settle);

/* event.c */
void ummunotify_hit(struct ummunotify_ctx *ctx, struct ummunotify_range *range,
		    u64 start, u64 end, u16 kind);
void ummunotify_advance(struct ummunotify_ctx *ctx);
void ummunotify_notify_readers(struct ummunotify_ctx *ctx);
ssize_t ummunotify_read(struct file *file, char __user *buf, size_t count,
			loff_t *pos);
__poll_t ummunotify_poll(struct file *file, struct poll_table_struct *wait);
int ummunotify_fasync(int fd, struct file *file, int on);

/* counter.c */
int ummunotify_counter_alloc(struct ummunotify_ctx *ctx);
void ummunotify_counter_free(struct ummunotify_ctx *ctx);
void ummunotify_counter_publish(struct ummunotify_ctx *ctx);
int ummunotify_mmap(struct file *file, struct vm_area_struct *vma);

/* generation.c */
struct page **ummunotify_words_alloc(void);
void ummunotify_words_free(struct page **words);
struct page *ummunotify_word_page(struct page **words, unsigned long index);
int ummunotify_slot_prepare(struct ummunotify_ctx *ctx, u32 slot);
void ummunotify_slot_bump(struct ummunotify_ctx *ctx, u32 slot);

#endif /* _UMMUNOTIFY_H */
