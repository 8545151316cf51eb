/* SPDX-License-Identifier: MIT */
/*
 * Reports what UCX's libucm sees: it patches libc's functions that change mappings, and calls back before they do.
 * Nothing of UCX is needed to compile this: what is used of its public header, ucm/api/ucm.h, is declared here.
 */
#define _GNU_SOURCE
#include "board.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

/* UCM_EVENT_VM_UNMAPPED */
#define VM_UNMAPPED (1 << 17)
/* Below zero: before the mapping changes. */
#define BEFORE (-1000)

union event {
	struct {
		void *address;
		size_t size;
	} vm_unmapped;
	/* As large as the largest of those of libucm, or larger. */
	uint64_t room[8];
};

typedef void callback(int type, union event *event, void *argument);

static int (*set_event_handler)(int events, int priority, callback *callback, void *argument);
static void (*unset_event_handler)(int events, callback *callback, void *argument);
/* It has not been loaded, as it would do damage. */
static bool harmful;

/* libucs would install handlers for SIGSEGV and the like, and for SIGHUP, which are the runtime's business. */
static const char *const settings[][2] = { { "UCX_HANDLE_ERRORS", "none" }, { "UCX_DEBUG_SIGNO", "0" } };

/*
 * When it is loaded, libucm tries its hooks by moving the end of the heap a page up and then a page down, and down also
 * where it could not be moved up, since something is mapped behind it: the last page of the heap is gone then, with what
 * is in it. The page that this takes stays: whoever gave it back could give back what another thread's malloc has put
 * behind it.
 */
static bool heap_can_grow(void)
{
	return sbrk(sysconf(_SC_PAGESIZE)) != (void *)-1;
}

static void load_quietly(void)
{
	/* Hooks into a library that was unloaded crash the process when it ends. */
	const int flags = RTLD_NOW | RTLD_GLOBAL | RTLD_NODELETE;
	/* Has what libucm needs and does not name. */
	void *ucm = dlopen("libucs.so.0", flags) == NULL ? NULL : dlopen("libucm.so.0", flags);

	if (ucm == NULL)
		return;
	set_event_handler = dlsym(ucm, "ucm_set_event_handler");
	unset_event_handler = dlsym(ucm, "ucm_unset_event_handler");
}

static void load(void)
{
	bool ours[2];
	int n;

	harmful = !heap_can_grow();
	if (harmful)
		return;
	for (n = 0; n < 2; n++) {
		ours[n] = getenv(settings[n][0]) == NULL;
		if (ours[n])
			setenv(settings[n][0], settings[n][1], 0);
	}
	load_quietly();
	for (n = 0; n < 2; n++)
		if (ours[n])
			unsetenv(settings[n][0]);
}

/* In a thread that is about to unmap, with whatever locks it holds. libucm calls no handler once it has been unset. */
static void unmapped(int type, union event *event, void *argument)
{
	uint64_t start = (uintptr_t)event->vm_unmapped.address;

	(void)type;
	board_report(argument, start, start + event->vm_unmapped.size, HIT);
}

/* The board, or 0 and errno: ENOSYS without libucm, ENOTSUP when it cannot hook, EBUSY when it must not. */
EXPORT uintptr_t regcache_hooks_open(struct opened *opened)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct board *board;

	pthread_once(&once, load);
	if (set_event_handler == NULL || unset_event_handler == NULL) {
		errno = harmful ? EBUSY : ENOSYS;
		return 0;
	}
	board = board_allocate(sizeof(*board));
	if (board == NULL)
		return 0;
	if (board_open(board, opened) == -1) {
		board_release(board, sizeof(*board));
		return 0;
	}
	if (set_event_handler(VM_UNMAPPED, BEFORE, unmapped, board) != 0) {
		board_close(board);
		board_release(board, sizeof(*board));
		errno = ENOTSUP;
		return 0;
	}
	return (uintptr_t)board;
}

EXPORT int regcache_hooks_close(uintptr_t address)
{
	struct board *board = (struct board *)address;

	unset_event_handler(VM_UNMAPPED, unmapped, board);
	board_close(board);
	board_release(board, sizeof(*board));
	return 0;
}

EXPORT uint32_t regcache_hooks_take(uintptr_t address, struct taken *taken, bool quiet)
{
	return board_take((struct board *)address, taken, quiet);
}
