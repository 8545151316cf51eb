// SPDX-License-Identifier: GPL-2.0
/*
 * The race between a thread that drops pages and one that drains, watches and
 * pins, with pins that need no RDMA: buffers registered with io_uring. What is
 * written to a page that is watched, with no event pending, must be what the
 * pin reads. Prints TAP.
 *
 * ummunotify_iouring [tries]
 */
#define _GNU_SOURCE
#include <linux/io_uring.h>
#include <linux/ummunotify.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define DEVICE		"/dev/ummunotify"
#define EXIT_SKIP	4	/* as in kselftest */
#define RANGE		(4 << 20)
#define ENTRIES		4
#define DEADLINE	300	/* seconds, also for a busy, emulated CPU */
/* A slow machine makes fewer tries. */
#define TRIES_SECONDS	(DEADLINE / 3)

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23
#endif

static size_t page;

static void finish(bool passed, const char *fmt, ...)
{
	va_list args;

	printf("%sok 1 stale_pins", passed ? "" : "not ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n# passed %d, failed %d, skipped 0\n", passed, !passed);
	fflush(stdout);
	_exit(!passed);
}

#define MUST(cond) do {							\
	if (!(cond))							\
		finish(false, "\n# line %d: %s: %s", __LINE__, #cond,	\
		       strerror(errno));				\
} while (0)

static void skip(const char *why)
{
	printf("ok 1 # SKIP %s\n# passed 0, failed 0, skipped 1\n", why);
	fflush(stdout);
	_exit(EXIT_SKIP);
}

/* As much of io_uring as one request at a time needs. */

struct ring {
	int fd;
	/* Shared with the kernel. */
	uint32_t *sq_tail, *cq_head, *cq_tail;
	uint32_t *sq_array;
	uint32_t sq_mask, cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};

static void *ring_map(int fd, size_t len, uint64_t offset)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_POPULATE, fd, (off_t)offset);

	MUST(p != MAP_FAILED);
	return p;
}

static struct ring ring_open(void)
{
	struct io_uring_params params = { 0 };
	struct ring ring;
	char *sq, *cq;

	ring.fd = (int)syscall(__NR_io_uring_setup, ENTRIES, &params);
	if (ring.fd < 0)
		skip("no io_uring");
	sq = ring_map(ring.fd, params.sq_off.array +
		      params.sq_entries * sizeof(uint32_t), IORING_OFF_SQ_RING);
	cq = ring_map(ring.fd, params.cq_off.cqes +
		      params.cq_entries * sizeof(struct io_uring_cqe),
		      IORING_OFF_CQ_RING);
	ring.sqes = ring_map(ring.fd, params.sq_entries *
			     sizeof(struct io_uring_sqe), IORING_OFF_SQES);
	ring.sq_tail = (void *)(sq + params.sq_off.tail);
	ring.sq_mask = *(uint32_t *)(sq + params.sq_off.ring_mask);
	ring.sq_array = (void *)(sq + params.sq_off.array);
	ring.cq_head = (void *)(cq + params.cq_off.head);
	ring.cq_tail = (void *)(cq + params.cq_off.tail);
	ring.cq_mask = *(uint32_t *)(cq + params.cq_off.ring_mask);
	ring.cqes = (void *)(cq + params.cq_off.cqes);
	return ring;
}

static void ring_pin(struct ring *ring, void *start)
{
	struct iovec iov = { .iov_base = start, .iov_len = page };

	if (!syscall(__NR_io_uring_register, ring->fd, IORING_REGISTER_BUFFERS,
		     &iov, 1))
		return;
	if (errno == ENOMEM || errno == EPERM)
		skip("not allowed to pin a page");
	MUST(!"IORING_REGISTER_BUFFERS");
}

static void ring_unpin(struct ring *ring)
{
	MUST(!syscall(__NR_io_uring_register, ring->fd,
		      IORING_UNREGISTER_BUFFERS, NULL, 0));
}

/* Writes the pinned page, whatever the address maps to now, to a file. */
static void ring_write(struct ring *ring, int fd, const void *start)
{
	uint32_t tail = __atomic_load_n(ring->sq_tail, __ATOMIC_ACQUIRE);
	uint32_t head = __atomic_load_n(ring->cq_head, __ATOMIC_ACQUIRE);
	struct io_uring_sqe *sqe = &ring->sqes[tail & ring->sq_mask];

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_WRITE_FIXED;
	sqe->fd = fd;
	sqe->addr = (uintptr_t)start;
	sqe->len = page;
	ring->sq_array[tail & ring->sq_mask] = tail & ring->sq_mask;
	__atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_RELEASE);
	MUST(syscall(__NR_io_uring_enter, ring->fd, 1, 1,
		     IORING_ENTER_GETEVENTS, NULL, 0) == 1);
	MUST(__atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE) == head + 1);
	errno = -ring->cqes[head & ring->cq_mask].res;
	MUST(ring->cqes[head & ring->cq_mask].res == (int)page);
	__atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
}

/* Reads up to the LAST; is the range with this cookie among the events? */
static bool drain(int dev, uint64_t cookie)
{
	struct ummunotify_event ev[64];
	bool found = false;

	for (;;) {
		ssize_t n = read(dev, ev, sizeof(ev));

		if (n < 0) {
			MUST(errno == EAGAIN);
			return found;
		}
		for (size_t i = 0; i < n / sizeof(*ev); i++) {
			if (ev[i].type == UMMUNOTIFY_EVENT_TYPE_LAST)
				return found;
			found |= ev[i].user_cookie_counter == cookie;
		}
	}
}

static void watch(int dev, const void *start, size_t len, uint64_t cookie)
{
	struct ummunotify_register_ioctl reg = {
		.start = (uintptr_t)start,
		.end = (uintptr_t)start + len,
		.user_cookie = cookie,
	};

	MUST(!ioctl(dev, UMMUNOTIFY_REGISTER_REGION, &reg));
}

static void unwatch(int dev, uint64_t cookie)
{
	__u64 arg = cookie;

	MUST(!ioctl(dev, UMMUNOTIFY_UNREGISTER_REGION, &arg));
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* The other thread drops the whole range, once for each go. */

static char *range;
static atomic_uint go, done;

static void *zap(void *unused)
{
	for (unsigned int round = 1;; round++) {
		while (atomic_load(&go) < round)
			sched_yield();
		MUST(!madvise(range, RANGE, MADV_DONTNEED));
		atomic_store(&done, round);
	}
	return unused;
}

int main(int argc, char **argv)
{
	unsigned int tries = argc > 1 ? strtoul(argv[1], NULL, 0) : 300;
	unsigned int inside = 0, silent = 0, stale = 0, n;
	double end = now() + TRIES_SECONDS;
	volatile uint64_t *counter;
	struct ring ring;
	pthread_t thread;
	char *copy;
	int dev, fd;

	page = sysconf(_SC_PAGESIZE);
	printf("TAP version 13\n1..1\n");
	alarm(DEADLINE);
	dev = open(DEVICE, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (dev < 0)
		skip("no " DEVICE);
	counter = mmap(NULL, page, PROT_READ, MAP_SHARED, dev, 0);
	MUST(counter != MAP_FAILED);
	ring = ring_open();
	fd = memfd_create("written", MFD_CLOEXEC);
	MUST(fd >= 0);
	copy = malloc(page);
	MUST(copy);
	range = mmap(NULL, RANGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(range != MAP_FAILED);
	/* A huge page would go at once. */
	madvise(range, RANGE, MADV_NOHUGEPAGE);
	MUST(!pthread_create(&thread, NULL, zap, NULL));

	for (n = 1; n <= tries && now() < end; n++) {
		/* Towards the end, so that the thread has far to go. */
		char *p = range + RANGE - (1 + n % 64) * page;
		uint64_t before, whole = 2 * n, single = whole + 1;
		bool busy;

		/* One fault for each page takes longer. */
		madvise(range, RANGE, MADV_POPULATE_WRITE);
		memset(range, 1, RANGE);
		watch(dev, range, RANGE, whole);
		drain(dev, whole);
		before = *counter;
		atomic_store(&go, n);
		while (*counter == before)
			sched_yield();

		/* Between the start and the end, with luck. */
		drain(dev, whole);
		unwatch(dev, whole);
		watch(dev, p, page, single);
		*p = 2;
		ring_pin(&ring, p);
		busy = atomic_load(&done) < n;
		while (atomic_load(&done) < n)
			sched_yield();
		inside += busy;

		if (!drain(dev, single)) {
			silent++;
			memset(p, n, page);
			ring_write(&ring, fd, p);
			MUST(pread(fd, copy, page, 0) == (ssize_t)page);
			stale += !!memcmp(copy, p, page);
		}
		ring_unpin(&ring);
		unwatch(dev, single);
	}
	printf("# %u tries, %u pinned while it was inside, %u without an event, %u stale\n",
	       n - 1, inside, silent, stale);
	finish(!stale, "");
}
