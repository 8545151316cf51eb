// SPDX-License-Identifier: MIT
/*
 * What the driver's calls cost by the number of ranges that a process watches. One process for each number, all alive
 * at once, measured in turn, so that a machine that changes its speed changes it for all. Prints a JSON line a sample.
 *
 * client ROUNDS NUMBER...
 */
#define _GNU_SOURCE
#include <linux/ummunotify.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 16, BATCH = 500 };

static size_t page;

static void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* xorshift64*: cookies are random 64-bit numbers, as a client's may be. */
static uint64_t random_state;

static uint64_t random64(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * 2685821657736338717ull;
}

struct watcher {
	int fd;
	size_t number;
	char *span;	/* reserved addresses, a range in every other page */
	char *hit;	/* one touched page that is watched, apart from the others */
	char *missed;	/* room for a page that is not watched */
	uint64_t *cookies;
};

static void watch(const struct watcher *w, char *start, uint64_t cookie)
{
	struct ummunotify_register_ioctl reg = {
		.start = (uintptr_t)start,
		.end = (uintptr_t)start + page,
		.user_cookie = cookie,
	};

	if (ioctl(w->fd, UMMUNOTIFY_REGISTER_REGION, &reg))
		die("UMMUNOTIFY_REGISTER_REGION");
}

static void unwatch(const struct watcher *w, uint64_t cookie)
{
	__u64 arg = cookie;

	if (ioctl(w->fd, UMMUNOTIFY_UNREGISTER_REGION, &arg))
		die("UMMUNOTIFY_UNREGISTER_REGION");
}

static char *map(size_t bytes, int prot)
{
	char *p = mmap(NULL, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

static char *range(const struct watcher *w, size_t which)
{
	return which ? w->span + 2 * which * page : w->hit;
}

static struct watcher watcher(size_t number)
{
	struct watcher w = { .fd = open("/dev/ummunotify", O_RDONLY | O_NONBLOCK | O_CLOEXEC), .number = number };

	if (w.fd < 0)
		die("/dev/ummunotify");
	w.span = map(2 * page * number, PROT_NONE);
	w.missed = map(2 * page, PROT_NONE);
	w.hit = map(page, PROT_READ | PROT_WRITE);
	w.cookies = malloc(number * sizeof(*w.cookies));
	if (!w.cookies)
		die("malloc");
	for (size_t i = 0; i < number; i++) {
		w.cookies[i] = random64();
		watch(&w, range(&w, i), w.cookies[i]);
	}
	return w;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t median(uint64_t *samples)
{
	qsort(samples, BATCH, sizeof(*samples), compare);
	return samples[BATCH / 2];
}

/* Medians, in nanoseconds, over one batch of each call. */
static void measure(struct watcher *w, FILE *out)
{
	static uint64_t munmap_ns[BATCH], register_ns[BATCH], unregister_ns[BATCH], hit_ns[BATCH], read_ns[BATCH];
	struct ummunotify_event events[4];

	for (int i = 0; i < BATCH; i++) {
		size_t which = random64() % w->number;
		uint64_t t;

		/* A touched page that nobody watches. */
		if (mmap(w->missed, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
			die("mmap");
		*w->missed = 1;
		t = now_ns();
		munmap(w->missed, page);
		munmap_ns[i] = now_ns() - t;

		/* Any of the ranges, seldom in the processor's caches. */
		t = now_ns();
		unwatch(w, w->cookies[which]);
		unregister_ns[i] = now_ns() - t;
		w->cookies[which] = random64();
		t = now_ns();
		watch(w, range(w, which), w->cookies[which]);
		register_ns[i] = now_ns() - t;

		*w->hit = 1;
		t = now_ns();
		madvise(w->hit, page, MADV_DONTNEED);
		hit_ns[i] = now_ns() - t;
		t = now_ns();
		if (read(w->fd, events, sizeof(events)) != 2 * sizeof(*events))
			die("read");
		read_ns[i] = now_ns() - t;
	}
	fprintf(out,
		"{\"ranges\":%zu,\"munmap\":%" PRIu64 ",\"register\":%" PRIu64 ",\"unregister\":%" PRIu64
		",\"hit\":%" PRIu64 ",\"read\":%" PRIu64 "}\n",
		w->number, median(munmap_ns), median(register_ns), median(unregister_ns), median(hit_ns), median(read_ns));
	fflush(out);
}

/* A process that measures whenever it is given a byte, and answers with one. */
static void serve(size_t number, int in, int out)
{
	struct watcher w;
	char byte;

	getrandom(&random_state, sizeof(random_state), 0);
	random_state |= 1;
	w = watcher(number);
	if (write(out, "r", 1) != 1)
		die("write");
	while (read(in, &byte, 1) == 1) {
		measure(&w, stdout);
		if (write(out, "d", 1) != 1)
			die("write");
	}
	exit(0);
}

int main(int argc, char **argv)
{
	int to[MOST][2], from[MOST][2], children = argc - 2;
	int rounds = argc > 1 ? atoi(argv[1]) : 0;
	char byte;

	if (children < 1 || children > MOST || rounds < 1) {
		fprintf(stderr, "usage: %s ROUNDS NUMBER...\n", argv[0]);
		return 2;
	}
	page = sysconf(_SC_PAGESIZE);
	for (int i = 0; i < children; i++) {
		if (pipe2(to[i], O_CLOEXEC) || pipe2(from[i], O_CLOEXEC))
			die("pipe");
		if (fork() == 0) {
			for (int j = 0; j <= i; j++)
				close(to[j][1]);
			close(from[i][0]);
			serve(strtoull(argv[2 + i], NULL, 10), to[i][0], from[i][1]);
		}
		close(to[i][0]);
		close(from[i][1]);
		if (read(from[i][0], &byte, 1) != 1)
			die("a measuring process ended");
	}
	for (int round = 0; round < rounds; round++)
		for (int i = 0; i < children; i++)
			if (write(to[i][1], "m", 1) != 1 || read(from[i][0], &byte, 1) != 1)
				die("a measuring process ended");
	printf("{\"done\":true}\n");
	fflush(stdout);
	for (int i = 0; i < children; i++)
		close(to[i][1]);
	while (wait(NULL) > 0)
		;
	return 0;
}
