/* SPDX-License-Identifier: MIT */
/*
 * What threads that see mappings change put up for the one thread that looks: a counter in a page of its own, a ring
 * of the ranges that were hit, and a descriptor that is readable while there is something new.
 *
 * Any number of threads put up, one takes. Putting up allocates nothing, takes no lock, waits for nobody and makes no
 * system call but a write to an eventfd: it may be done from inside malloc and munmap. Memory is bounded: what does not
 * fit into the ring is remembered as "anything may have been hit".
 */
#ifndef REGCACHE_BOARD_H
#define REGCACHE_BOARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What became of a range; also bits of what did not fit into the ring. */
enum {
	/* Its pages went, or are about to. */
	HIT = 1,
	/* The mapping itself went: what is mapped there next is not watched. */
	GONE = 2,
	/* A watched mapping was moved here, and is watched here. */
	ARRIVED = 4,
};

#define SLOTS 4096

/* What JavaScript calls; all else stays inside. */
#define EXPORT __attribute__((visibility("default")))

struct slot {
	/* Whose turn it is: the position that may be written here, or, one above it, that may be read. */
	_Atomic uint64_t turn;
	uint64_t start, end;
	uint32_t what;
};

struct board {
	/*
	 * In a file of its own, which the reader maps. Odd while somebody is about to put something up that may already
	 * have come true.
	 */
	_Atomic uint64_t *counter;
	int counter_file;
	/* An eventfd. */
	int pending;
	_Atomic uint32_t told;
	_Atomic uint32_t overflow;
	_Atomic uint64_t tail;
	uint64_t head;
	struct slot slots[SLOTS];
};

/* What the other side gets beside the address of what was opened. */
struct opened {
	/* Descriptors. */
	int32_t counter, pending;
	/* A monitor's own. */
	int32_t more;
};

/* What board_take hands over; numbers that JavaScript can read without taking them apart. */
struct taken {
	/* The value of the counter up to which everything has been taken, in halves. */
	double low, high;
	/* Bits of what did not fit. */
	double overflow;
	struct {
		double start, end, what;
	} ranges[SLOTS];
};

/* Zeros, of whole pages: neither malloc's nor anything that malloc could be waiting for. */
void *board_allocate(uint64_t size);
void board_release(void *memory, uint64_t size);

/* -1 and errno when something cannot be had; nothing is left then. */
int board_open(struct board *board, struct opened *opened);
void board_close(struct board *board);

/* Move the counter, to an odd value: from now on whoever takes waits for board_end. By one thread only. */
void board_begin(struct board *board);
void board_put(struct board *board, uint64_t start, uint64_t end, uint32_t what);
void board_end(struct board *board);

/* Put one range up and move the counter; by any thread. Not on a board where somebody uses board_begin. */
void board_report(struct board *board, uint64_t start, uint64_t end, uint32_t what);

/*
 * Take all that was put up. By one thread at a time.
 * @quiet: the descriptor becomes unreadable
 * Returns how many ranges there are.
 */
uint32_t board_take(struct board *board, struct taken *taken, bool quiet);

#endif
