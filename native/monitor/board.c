/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "board.h"

#include <errno.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* Tests stop here, to make the moments between two steps long. */
#ifndef BEFORE_FILL
#define BEFORE_FILL
#endif
#ifndef BEFORE_COUNT
#define BEFORE_COUNT
#endif

void *board_allocate(uint64_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

void board_release(void *memory, uint64_t size)
{
	munmap(memory, size);
}

static uint64_t page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

int board_open(struct board *board, struct opened *opened)
{
	void *page = MAP_FAILED;
	uint64_t position;

	board->pending = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	board->counter_file = memfd_create("regcache-counter", MFD_CLOEXEC);
	if (board->counter_file != -1 && ftruncate(board->counter_file, (off_t)page_size()) == 0)
		page = mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, board->counter_file, 0);
	board->counter = page == MAP_FAILED ? NULL : page;
	if (board->pending == -1 || board->counter == NULL) {
		board_close(board);
		return -1;
	}
	for (position = 0; position < SLOTS; position++)
		atomic_store_explicit(&board->slots[position].turn, position, memory_order_relaxed);
	opened->counter = board->counter_file;
	opened->pending = board->pending;
	return 0;
}

void board_close(struct board *board)
{
	int error = errno;

	if (board->counter != NULL)
		munmap((void *)board->counter, page_size());
	if (board->counter_file != -1)
		close(board->counter_file);
	if (board->pending != -1)
		close(board->pending);
	errno = error;
}

void board_begin(struct board *board)
{
	/* Before everything that its caller does next, system calls included. */
	atomic_fetch_add(board->counter, 1);
}

void board_put(struct board *board, uint64_t start, uint64_t end, uint32_t what)
{
	uint64_t position = atomic_load_explicit(&board->tail, memory_order_relaxed);

	for (;;) {
		struct slot *slot = &board->slots[position % SLOTS];
		uint64_t turn = atomic_load_explicit(&slot->turn, memory_order_acquire);

		if (turn == position) {
			if (!atomic_compare_exchange_weak(&board->tail, &position, position + 1))
				continue;
			BEFORE_FILL;
			slot->start = start;
			slot->end = end;
			slot->what = what;
			atomic_store_explicit(&slot->turn, position + 1, memory_order_release);
			return;
		}
		if ((int64_t)(turn - position) < 0) {
			/* What was put here a round ago has not been taken yet. */
			atomic_fetch_or(&board->overflow, what);
			return;
		}
		position = atomic_load_explicit(&board->tail, memory_order_relaxed);
	}
}

static void tell(struct board *board)
{
	static const uint64_t one = 1;

	/* Whoever takes clears it first and looks afterwards: either it sees what was put up, or it is told again. */
	if (atomic_exchange(&board->told, 1) == 0 && write(board->pending, &one, sizeof(one)) == -1) {
		/* Only when it is readable in any case. */
	}
}

void board_end(struct board *board)
{
	atomic_fetch_add(board->counter, 1);
	tell(board);
}

void board_report(struct board *board, uint64_t start, uint64_t end, uint32_t what)
{
	int error = errno;

	board_put(board, start, end, what);
	BEFORE_COUNT;
	/* What has moved the counter can be taken. */
	atomic_fetch_add(board->counter, 2);
	tell(board);
	errno = error;
}

/* A thread is on its way between two stores or across a system call that does not wait; it may lose its processor. */
static void pause_for(unsigned int *turns)
{
	static const struct timespec briefly = { .tv_nsec = 50 * 1000 };

	/* Yielding to a thread of lower priority yields nothing to it. */
	if ((*turns)++ < 100)
		sched_yield();
	else
		nanosleep(&briefly, NULL);
}

/* The counter's value when nobody was in between, not before now. Does not chase a counter that goes on moving. */
static uint64_t settled(struct board *board)
{
	uint64_t value = atomic_load(board->counter);
	unsigned int turns = 0;

	if (value % 2 == 0)
		return value;
	while (atomic_load(board->counter) == value)
		pause_for(&turns);
	return value + 1;
}

uint32_t board_take(struct board *board, struct taken *taken, bool quiet)
{
	uint64_t value, limit, unused;
	uint32_t count = 0;

	if (quiet) {
		atomic_store(&board->told, 0);
		if (read(board->pending, &unused, sizeof(unused)) == -1) {
			/* It was not readable. */
		}
	}
	/* All that this value counts was put up before it was stored, and lies below the limit. */
	value = settled(board);
	taken->low = (int32_t)(uint32_t)value;
	taken->high = (int32_t)(uint32_t)(value >> 32);
	taken->overflow = atomic_exchange(&board->overflow, 0);
	limit = atomic_load(&board->tail);
	for (; board->head != limit; board->head++) {
		struct slot *slot = &board->slots[board->head % SLOTS];
		unsigned int turns = 0;

		while (atomic_load_explicit(&slot->turn, memory_order_acquire) != board->head + 1)
			pause_for(&turns);
		taken->ranges[count].start = (double)slot->start;
		taken->ranges[count].end = (double)slot->end;
		taken->ranges[count].what = slot->what;
		count++;
		atomic_store_explicit(&slot->turn, board->head + SLOTS, memory_order_release);
	}
	return count;
}
