/* SPDX-License-Identifier: MIT */
/*
 * A thread that reads what a userfaultfd has to say about watched memory. README.md has the orderings and why they do.
 *
 * A thread that unmaps watched memory waits, in the kernel, until its event has been read, and it may hold whatever
 * locks an allocator, a garbage collector or the dynamic linker hold there. So nothing that runs in this thread
 * allocates, locks, resolves a symbol (-z now), runs a signal handler, or changes a mapping.
 */
#define _GNU_SOURCE
#include "board.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Both younger than the headers of some distributions. */
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#ifndef UFFD_FEATURE_WP_HUGETLBFS_SHMEM
#define UFFD_FEATURE_WP_HUGETLBFS_SHMEM (1 << 12)
#endif

#define FEATURES \
	(UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_EVENT_UNMAP | UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_REMOVE)

/* Tests stop the thread here, to make the moments between two steps long. */
#ifndef BEFORE_READ
#define BEFORE_READ
#endif
#ifndef AFTER_READ
#define AFTER_READ
#endif

struct monitor {
	struct board board;
	int memory;
	/* An eventfd, readable when the thread is to end. */
	int stop;
	pthread_t thread;
	struct uffd_msg messages[64];
};

/* Steps of opening that fail for different reasons. */
enum { SYSTEM_CALL = 1, HANDSHAKE = 2, REST = 3 };

static void put_up(struct board *board, const struct uffd_msg *message)
{
	switch (message->event) {
	case UFFD_EVENT_UNMAP:
		board_put(board, message->arg.remove.start, message->arg.remove.end, GONE);
		break;
	case UFFD_EVENT_REMOVE:
		board_put(board, message->arg.remove.start, message->arg.remove.end, HIT);
		break;
	case UFFD_EVENT_REMAP:
		board_put(board, message->arg.remap.from, message->arg.remap.from + message->arg.remap.len, GONE);
		board_put(board, message->arg.remap.to, message->arg.remap.to + message->arg.remap.len, ARRIVED);
		break;
	}
}

static void *watch(void *argument)
{
	struct monitor *monitor = argument;
	struct pollfd files[] = {
		{ .fd = monitor->memory, .events = POLLIN },
		{ .fd = monitor->stop, .events = POLLIN },
	};

	for (;;) {
		ssize_t bytes;
		unsigned int n;

		if (poll(files, 2, -1) == -1)
			continue;
		if (files[1].revents != 0)
			break;
		/* Before the read lets go of those who wait for it: none of them goes on under a counter that has not moved. */
		board_begin(&monitor->board);
		BEFORE_READ;
		bytes = read(monitor->memory, monitor->messages, sizeof(monitor->messages));
		AFTER_READ;
		for (n = 0; bytes > 0 && n < (size_t)bytes / sizeof(struct uffd_msg); n++)
			put_up(&monitor->board, &monitor->messages[n]);
		board_end(&monitor->board);
	}
	/*
	 * By this thread, which alone reads from it: a number that belongs to another file already must not be read. It
	 * lets go of all who still wait.
	 */
	close(monitor->memory);
	return NULL;
}

/* With a small stack, and no signals: a handler would run code that may allocate. */
static int start(struct monitor *monitor)
{
	sigset_t all, before;
	pthread_attr_t attributes;
	int error;

	sigfillset(&all);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 256 * 1024);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&monitor->thread, &attributes, watch, monitor);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	if (error == 0)
		pthread_setname_np(monitor->thread, "regcache-uffd");
	return error;
}

/* Older kernels (before 5.19) watch private anonymous memory only. */
static int shake_hands(int memory)
{
	struct uffdio_api api = { .api = UFFD_API, .features = FEATURES | UFFD_FEATURE_WP_HUGETLBFS_SHMEM };

	if (ioctl(memory, UFFDIO_API, &api) == 0)
		return 0;
	api = (struct uffdio_api){ .api = UFFD_API, .features = FEATURES };
	return ioctl(memory, UFFDIO_API, &api);
}

/* The monitor, and the userfaultfd; or 0 and errno, and the step that failed. */
EXPORT uintptr_t regcache_userfaultfd_open(struct opened *opened)
{
	struct monitor *monitor = board_allocate(sizeof(*monitor));
	int error;

	opened->more = REST;
	if (monitor == NULL)
		return 0;
	monitor->stop = -1;
	monitor->memory = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
	if (monitor->memory == -1) {
		opened->more = SYSTEM_CALL;
		goto fail;
	}
	if (shake_hands(monitor->memory) == -1) {
		opened->more = HANDSHAKE;
		goto fail;
	}
	monitor->stop = eventfd(0, EFD_CLOEXEC);
	if (monitor->stop == -1 || board_open(&monitor->board, opened) == -1)
		goto fail;
	error = start(monitor);
	if (error != 0) {
		board_close(&monitor->board);
		errno = error;
		goto fail;
	}
	opened->more = monitor->memory;
	return (uintptr_t)monitor;

fail:
	error = errno;
	if (monitor->stop != -1)
		close(monitor->stop);
	if (monitor->memory != -1)
		close(monitor->memory);
	board_release(monitor, sizeof(*monitor));
	errno = error;
	return 0;
}

EXPORT int regcache_userfaultfd_close(uintptr_t address)
{
	struct monitor *monitor = (struct monitor *)address;

	eventfd_write(monitor->stop, 1);
	pthread_join(monitor->thread, NULL);
	close(monitor->stop);
	board_close(&monitor->board);
	board_release(monitor, sizeof(*monitor));
	return 0;
}

EXPORT uint32_t regcache_userfaultfd_take(uintptr_t address, struct taken *taken, bool quiet)
{
	return board_take(&((struct monitor *)address)->board, taken, quiet);
}
