// SPDX-License-Identifier: GPL-2.0
/*
 * A plain C client of /dev/ummunotify: each call, each result, each errno.
 * Prints TAP. Every test runs in a process of its own, with a time limit.
 *
 * ummunotify_test [-l] [name...]
 */
#define _GNU_SOURCE
#include "cgroup.h"
#include "pass_fd.h"
#include "tap.h"

#include <linux/ummunotify.h>
#include <linux/userfaultfd.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23
#endif

#define DEVICE		"/dev/ummunotify"
#define MAX_RANGES	"/sys/module/ummunotify/parameters/max_ranges"
#define OPEN_PLACES	"/sys/module/ummunotify/parameters/open_places"
#define ALL_FEATURES	(UMMUNOTIFY_FEATURE_KIND | \
			 UMMUNOTIFY_FEATURE_TRANSLATION | \
			 UMMUNOTIFY_FEATURE_GENERATION | \
			 UMMUNOTIFY_FEATURE_BATCH)

/* The interface, as a client would wrap it. */

struct watcher {
	int fd;
	volatile uint64_t *counter;
};

static struct watcher watcher_open(int flags)
{
	struct watcher w;

	w.fd = open(DEVICE, O_RDONLY | O_CLOEXEC | flags);
	CHECK(w.fd >= 0);
	w.counter = mmap(NULL, page, PROT_READ, MAP_SHARED, w.fd, 0);
	CHECK(w.counter != MAP_FAILED);
	return w;
}

/* A watcher with extensions. */
static struct watcher watcher_with(__u32 features)
{
	struct watcher w = watcher_open(O_NONBLOCK);
	__u32 word = UMMUNOTIFY_FEATURE_TAG | features;

	CHECK_EQ(ioctl(w.fd, UMMUNOTIFY_EXCHANGE_FEATURES, &word), 0);
	CHECK_EQ(word, UMMUNOTIFY_FEATURE_TAG | features);
	return w;
}

static int watch(struct watcher w, const void *start, size_t len,
		 uint64_t cookie)
{
	struct ummunotify_register_ioctl reg = {
		.start = (uintptr_t)start,
		.end = (uintptr_t)start + len,
		.user_cookie = cookie,
		.flags = 0xa5a5a5a5,	/* ignored, whatever they are */
		.reserved = 0x5a5a5a5a,
	};

	return ioctl(w.fd, UMMUNOTIFY_REGISTER_REGION, &reg);
}

static int unwatch(struct watcher w, uint64_t cookie)
{
	__u64 arg = cookie;

	return ioctl(w.fd, UMMUNOTIFY_UNREGISTER_REGION, &arg);
}

static struct ummunotify_event next_event(struct watcher w)
{
	struct ummunotify_event ev;

	CHECK_EQ(read(w.fd, &ev, sizeof(ev)), sizeof(ev));
	return ev;
}

static void check_inval(struct ummunotify_event ev, uint64_t cookie, bool hint,
			const void *start, const void *end)
{
	CHECK_EQ(ev.type, UMMUNOTIFY_EVENT_TYPE_INVAL);
	CHECK_EQ(ev.user_cookie_counter, cookie);
	CHECK_EQ(ev.flags, hint ? UMMUNOTIFY_EVENT_FLAG_HINT : 0);
	CHECK_EQ(ev.hint_start, (uintptr_t)start);
	CHECK_EQ(ev.hint_end, (uintptr_t)end);
}

static void expect_inval(struct watcher w, uint64_t cookie, bool hint,
			 const void *start, const void *end)
{
	check_inval(next_event(w), cookie, hint, start, end);
}

static void expect_last(struct watcher w, uint64_t counter)
{
	struct ummunotify_event ev = next_event(w);

	CHECK_EQ(ev.type, UMMUNOTIFY_EVENT_TYPE_LAST);
	CHECK_EQ(ev.user_cookie_counter, counter);
	CHECK_EQ(ev.flags, 0);
	CHECK_EQ(ev.hint_start, 0);
	CHECK_EQ(ev.hint_end, 0);
}

static void expect_quiet(struct watcher w)
{
	struct ummunotify_event ev;
	struct pollfd pfd = { .fd = w.fd, .events = POLLIN };

	CHECK_EQ(poll(&pfd, 1, 0), 0);
	CHECK_EQ(fcntl(w.fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	CHECK_ERRNO(read(w.fd, &ev, sizeof(ev)), EAGAIN);
}

/* Read to the LAST; returns how many ranges were reported. */
static size_t drain(struct watcher w)
{
	struct ummunotify_event ev[128];
	size_t ranges = 0;

	for (;;) {
		ssize_t n = read(w.fd, ev, sizeof(ev));

		if (n < 0) {
			CHECK_EQ(errno, EAGAIN);
			return ranges;
		}
		for (size_t i = 0; i < n / sizeof(*ev); i++) {
			if (ev[i].type == UMMUNOTIFY_EVENT_TYPE_LAST)
				return ranges;
			ranges++;
		}
	}
}

/* All at once first: one fault for each page takes an emulated CPU seconds. */
static void fill(char *p, size_t len)
{
	madvise(p, len, MADV_POPULATE_WRITE);
	memset(p, 1, len);
}

/* Touched, private, and never huge: a huge page is split with an event. */
static char *map(size_t pages)
{
	size_t len = pages * page;
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	madvise(p, len, MADV_NOHUGEPAGE);
	fill(p, len);
	return p;
}

static void *start_thread(pthread_t *thread, void *(*fn)(void *), void *arg)
{
	CHECK_EQ(pthread_create(thread, NULL, fn, arg), 0);
	return arg;
}

static void wait_child(pid_t pid)
{
	int status;

	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

static void sleep_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* Interface */

static void test_abi(void)
{
	CHECK_EQ(sizeof(struct ummunotify_register_ioctl), 32);
	CHECK_EQ(offsetof(struct ummunotify_register_ioctl, end), 8);
	CHECK_EQ(offsetof(struct ummunotify_register_ioctl, user_cookie), 16);
	CHECK_EQ(offsetof(struct ummunotify_register_ioctl, flags), 24);
	CHECK_EQ(offsetof(struct ummunotify_register_ioctl, reserved), 28);
	CHECK_EQ(sizeof(struct ummunotify_event), 32);
	CHECK_EQ(offsetof(struct ummunotify_event, flags), 4);
	CHECK_EQ(offsetof(struct ummunotify_event, hint_start), 8);
	CHECK_EQ(offsetof(struct ummunotify_event, hint_end), 16);
	CHECK_EQ(offsetof(struct ummunotify_event, user_cookie_counter), 24);
	CHECK_EQ(UMMUNOTIFY_EXCHANGE_FEATURES, 0xc0045501);
	CHECK_EQ(UMMUNOTIFY_REGISTER_REGION, 0x40205502);
	CHECK_EQ(UMMUNOTIFY_UNREGISTER_REGION, 0x40085503);
	CHECK_EQ(UMMUNOTIFY_UNREGISTER_BATCH, 0x40105504);
	CHECK_EQ(UMMUNOTIFY_EVENT_TYPE_INVAL, 0);
	CHECK_EQ(UMMUNOTIFY_EVENT_TYPE_LAST, 1);
	CHECK_EQ(UMMUNOTIFY_EVENT_FLAG_HINT, 1);
}

static void test_open_modes(void)
{
	struct stat st;

	CHECK_ERRNO(open(DEVICE, O_WRONLY), EINVAL);
	CHECK_ERRNO(open(DEVICE, O_RDWR), EINVAL);
	CHECK_EQ(stat(DEVICE, &st), 0);
	CHECK(S_ISCHR(st.st_mode));
	CHECK_EQ(st.st_mode & 07777, 0666);
}

static void test_unprivileged_user(void)
{
	struct watcher w;
	char *p;

	if (!geteuid() && (setgid(65534) || setuid(65534)))
		skip("cannot give up privileges");
	w = watcher_open(O_NONBLOCK);
	p = map(1);
	CHECK_EQ(watch(w, p, page, 1), 0);
	CHECK_EQ(munmap(p, page), 0);
	expect_inval(w, 1, true, p, p + page);
	expect_last(w, 1);
	expect_quiet(w);
}

static void test_not_seekable_no_other_ioctl(void)
{
	struct watcher w = watcher_open(0);
	char buf[64];

	CHECK_ERRNO(lseek(w.fd, 0, SEEK_CUR), ESPIPE);
	CHECK_ERRNO(pread(w.fd, buf, sizeof(buf), 0), ESPIPE);
	CHECK_ERRNO(ioctl(w.fd, _IO('U', 99), buf), ENOTTY);
	CHECK_ERRNO(ioctl(w.fd, TIOCGWINSZ, buf), ENOTTY);
	CHECK_ERRNO(write(w.fd, buf, sizeof(buf)), EBADF);
}

static void test_mmap_rules(void)
{
	struct watcher w = watcher_open(0);
	const int rw = PROT_READ | PROT_WRITE;
	volatile uint64_t *shared, *private;
	char *p = map(1);

	CHECK_ERRNO((long)mmap(NULL, page, rw, MAP_SHARED, w.fd, 0), EACCES);
	CHECK_ERRNO((long)mmap(NULL, page, rw, MAP_PRIVATE, w.fd, 0), EACCES);
	CHECK_ERRNO((long)mmap(NULL, 2 * page, PROT_READ, MAP_SHARED, w.fd, 0),
		    EINVAL);
	CHECK_ERRNO((long)mmap(NULL, page, PROT_READ, MAP_SHARED, w.fd, page),
		    EINVAL);

	shared = mmap(NULL, page, PROT_READ, MAP_SHARED, w.fd, 0);
	CHECK(shared != MAP_FAILED);
	private = mmap(NULL, page, PROT_READ, MAP_PRIVATE, w.fd, 0);
	CHECK(private != MAP_FAILED);
	CHECK_ERRNO(mprotect((void *)shared, page, rw), EACCES);
	CHECK_ERRNO(mprotect((void *)private, page, rw), EACCES);
	CHECK_ERRNO((long)mremap((void *)shared, page, 2 * page, MREMAP_MAYMOVE),
		    EFAULT);

	CHECK_EQ(watch(w, p, page, 1), 0);
	munmap(p, page);
	CHECK_EQ(*w.counter, 1);
	CHECK_EQ(*shared, 1);
	CHECK_EQ(*private, 1);
	madvise((void *)shared, page, MADV_DONTNEED);
	CHECK_EQ(*shared, 1);
	for (size_t i = 1; i < page / sizeof(*shared); i++)
		CHECK_EQ(shared[i], 0);
}

static void test_mapping_outlives_descriptor(void)
{
	struct watcher w = watcher_open(0);
	char *p = map(1);

	CHECK_EQ(watch(w, p, page, 1), 0);
	close(w.fd);
	munmap(p, page);
	CHECK_EQ(*w.counter, 1);
	munmap((void *)w.counter, page);
}

static void test_exchange_features(void)
{
	struct watcher w;
	struct ummunotify_event ev;
	__u32 word;

	/* Uninitialised words: masked, never an error, nothing switched on. */
	for (unsigned int i = 0; i < 4; i++) {
		static const __u32 words[] = { 0, ~0U, 0xdeadbeef, 0xffff };

		w = watcher_open(O_NONBLOCK);
		word = words[i];
		CHECK_EQ(ioctl(w.fd, UMMUNOTIFY_EXCHANGE_FEATURES, &word), 0);
		CHECK_EQ(word, 0);
		CHECK_ERRNO(ioctl(w.fd, UMMUNOTIFY_EXCHANGE_FEATURES, &word),
			    EINVAL);
	}

	/* With the tag, unknown bits are masked, too. */
	w = watcher_open(O_NONBLOCK);
	word = UMMUNOTIFY_FEATURE_TAG | 0xffff;
	CHECK_EQ(ioctl(w.fd, UMMUNOTIFY_EXCHANGE_FEATURES, &word), 0);
	CHECK_EQ(word, UMMUNOTIFY_FEATURE_TAG | ALL_FEATURES);
	watcher_with(0);

	w = watcher_open(O_NONBLOCK);
	CHECK_ERRNO(ioctl(w.fd, UMMUNOTIFY_EXCHANGE_FEATURES, NULL), EFAULT);
	CHECK_EQ(watch(w, map(1), page, 1), 0);
	CHECK_ERRNO(ioctl(w.fd, UMMUNOTIFY_EXCHANGE_FEATURES, &word), EINVAL);

	w = watcher_open(O_NONBLOCK);
	CHECK_ERRNO(read(w.fd, &ev, sizeof(ev)), EAGAIN);
	CHECK_ERRNO(ioctl(w.fd, UMMUNOTIFY_EXCHANGE_FEATURES, &word), EINVAL);
}

static void test_register_and_unregister(void)
{
	struct watcher w = watcher_open(O_NONBLOCK);
	char *p = map(4);

	CHECK_EQ(watch(w, p, page, 1), 0);
	CHECK_ERRNO(watch(w, p + page, page, 1), EINVAL);
	CHECK_EQ(watch(w, p, page, 2), 0);
	CHECK_EQ(watch(w, p, 2 * page, 0), 0);
	CHECK_EQ(watch(w, p, 2 * page, UINT64_MAX), 0);
	CHECK_ERRNO(unwatch(w, 3), EINVAL);
	CHECK_EQ(unwatch(w, 2), 0);
	CHECK_ERRNO(unwatch(w, 2), EINVAL);
	CHECK_EQ(watch(w, p, page, 2), 0);
	CHECK_ERRNO(ioctl(w.fd, UMMUNOTIFY_REGISTER_REGION, NULL), EFAULT);
	CHECK_ERRNO(ioctl(w.fd, UMMUNOTIFY_UNREGISTER_REGION, NULL), EFAULT);

	munmap(p, 2 * page);
	CHECK_EQ(*w.counter, 1);
	CHECK_EQ(drain(w), 4);
	for (int cookie = 0; cookie < 3; cookie++)
		CHECK_EQ(unwatch(w, cookie), 0);
	CHECK_EQ(unwatch(w, UINT64_MAX), 0);
	munmap(p + 2 * page, 2 * page);
	expect_quiet(w);
	CHECK_EQ(*w.counter, 1);
}

static void test_cookies_are_per_file(void)
{
	struct watcher a = watcher_open(O_NONBLOCK);
	struct watcher b = watcher_open(O_NONBLOCK);
	char *p = map(1);

	CHECK_EQ(watch(a, p, page, 1), 0);
	CHECK_EQ(watch(b, p, page, 1), 0);
	munmap(p, page);
	expect_inval(a, 1, true, p, p + page);
	expect_last(a, 1);
	expect_inval(b, 1, true, p, p + page);
	expect_last(b, 1);
}

static void test_range_limit(void)
{
	struct watcher w = watcher_open(O_NONBLOCK);
	char old[32] = "", *p = map(1);
	int fd = open(MAX_RANGES, O_RDWR);

	if (fd < 0)
		skip("cannot change max_ranges");
	CHECK(read(fd, old, sizeof(old) - 1) > 0);
	CHECK_EQ(pwrite(fd, "3", 1, 0), 1);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(watch(w, p, page, i), 0);
	errno = 0;
	if (watch(w, p, page, 3) != -1 || errno != ENOSPC) {
		pwrite(fd, old, strlen(old), 0);
		CHECK_EQ(errno, ENOSPC);
	}
	CHECK_EQ(unwatch(w, 1), 0);
	CHECK_EQ(watch(w, p, 0, 3), 0);	/* empty ones count, too */
	pwrite(fd, old, strlen(old), 0);
	CHECK_EQ(watch(w, p, page, 4), 0);
}

#ifdef __x86_64__
static long compat_ioctl(int fd, unsigned long cmd, void *arg)
{
	long ret;

	asm volatile("int $0x80" : "=a" (ret)
		     : "0" (54), "b" ((long)fd), "c" (cmd), "d" (arg)
		     : "memory", "r8", "r9", "r10", "r11");
	if (ret < 0) {
		errno = -ret;
		return -1;
	}
	return ret;
}

static void test_compat_ioctl(void)
{
	struct watcher w = watcher_open(O_NONBLOCK);
	struct ummunotify_register_ioctl *reg;
	char *p = map(1);
	__u64 *cookie;

	reg = mmap(NULL, page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	CHECK(reg != MAP_FAILED);
	cookie = (void *)(reg + 1);
	*reg = (struct ummunotify_register_ioctl) {
		.start = (uintptr_t)p,
		.end = (uintptr_t)p + page,
		.user_cookie = *cookie = UINT64_C(0xfedcba9876543210),
	};
	if (compat_ioctl(w.fd, UMMUNOTIFY_REGISTER_REGION, reg)) {
		if (errno == ENOSYS)
			skip("no 32-bit system calls");
		CHECK(!"compat register");
	}
	madvise(p, page, MADV_DONTNEED);
	expect_inval(w, *cookie, true, p, p + page);
	CHECK_EQ(compat_ioctl(w.fd, UMMUNOTIFY_UNREGISTER_REGION, cookie), 0);
	CHECK_ERRNO(compat_ioctl(w.fd, UMMUNOTIFY_UNREGISTER_REGION, cookie),
		    EINVAL);
	CHECK_ERRNO(compat_ioctl(w.fd, _IO('U', 99), cookie), ENOTTY);
}
#else
static void test_compat_ioctl(void)
{
	skip("x86-64 only");
}
#endif

/* Events */

static void test_one_munmap_one_event(void)
{
	struct watcher w = watcher_open(O_NONBLOCK);
	char *p = map(4);

	expect_quiet(w);
	CHECK_EQ(watch(w, p, 4 * page, 42), 0);
	CHECK_EQ(*w.counter, 0);
	CHECK_EQ(munmap(p, 4 * page), 0);
	CHECK_EQ(*w.counter, 1);
	expect_inval(w, 42, true, p, p + 4 * page);
	expect_last(w, 1);
	expect_quiet(w);
}

static void test_hint_is_clamped(void)
{
	struct watcher w = watcher_open(O_NONBLOCK);
	char *p = map(8);

	CHECK_EQ(watch(w, p + page, 4 * page, 1), 0);
	madvise(p, 2 * page, MADV_DONTNEED);
	expect_inval(w, 1, true, p + page, p + 2 * page);
	expect_last(w, 1);
	madvise(p + 2 * page, page, MADV_DONTNEED);
	expect_inval(w, 1, true, p + 2 * page, p + 3 * page);
	expect_last(w, 2);
	madvise(p + 4 * page, 4 * page, MADV_DONTNEED);
	expect_inval(w, 1, true, p + 4 * page, p + 5 * page);
	expect_last(w, 3);
	/* Neighbours of the range do not count. */
	madvise(p, page, MADV_DONTNEED);
	madvise(p + 5 * page, page, MADV_DONTNEED);
	expect_quiet(w);

	/* Bytes, not pages. */
	CHECK_EQ(watch(w, p + 6 * page + 100, 1, 2), 0);
	madvise(p + 6 * page, page, MADV_DONTNEED);
	expect_inval(w, 2, true, p + 6 * page + 100, p + 6 * page + 101);
	expect_last(w, 4);
}

static void test_merged_hits_have_no_hint(void)
{
	struct watcher w = watcher_open(O_NONBLOCK);
	char *p = map(8);

	CHECK_EQ(watch(w, p, 8 * page, 1), 0);
	madvise(p + page, page, MADV_DONTNEED);
	madvise(p + 3 * page, page, MADV_DONTNEED);
	CHECK_EQ(*w.counter, 2);
	expect_inval(w, 1, false, p, p + 8 * page);
	expect_last(w, 2);
	madvise(p + 5 * page, page, MADV_DONTNEED);
	expect_inval(w, 1, true, p + 5 * page, p + 6 * page);
	expect_last(w, 3);
}

static void test_empty_and_reversed_ranges(void)
{
	struct watcher w = watcher_open(O_NONBLOCK);
	char *p = map(4);

	CHECK_EQ(watch(w, p + page, 0, 1), 0);
	CHECK_EQ(watch(w, p + page + 7, 0, 2), 0);
	CHECK_EQ(watch(w, p + 2 * page, -page, 3), 0);
	CHECK_EQ(watch(w, NULL, 0, 4), 0);
	CHECK_EQ(watch(w, (void *)UINTPTR_MAX, 0, 5), 0);
	CHECK_ERRNO(watch(w, p, page, 1), EINVAL);
	munmap(p, 4 * page);
	CHECK_EQ(*w.counter, 0);
	expect_quiet(w);
	for (int cookie = 1; cookie <= 5; cookie++)
		CHECK_EQ(unwatch(w, cookie), 0);
}

static void test_whole_address_space(void)
{
	struct watcher w = watcher_open(O_NONBLOCK);
	char *p = map(1);

	CHECK_EQ(watch(w, NULL, UINTPTR_MAX, 1), 0);
	drain(w);
	munmap(p, page);
	expect_inval(w, 1, true, p, p + page);
}

static void test_reported_once_then_watched_again(void)
{
	struct watcher w = watcher_open(O_NONBLOCK);
	char *p = map(2);

	CHECK_EQ(watch(w, p, page, 1), 0);
	CHECK_EQ(watch(w, p + page, page, 2), 0);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 5; i++)
			madvise(p, page, MADV_DONTNEED);
		CHECK_EQ(*w.counter, 5 * (round + 1));
		expect_inval(w, 1, false, p, p + page);
		expect_last(w, 5 * (round + 1));
		expect_quiet(w);
	}
}

static void test_one_counter_step_for_many_ranges(void)
{
	struct watcher w = watcher_open(O_NONBLOCK);
	struct ummunotify_event ev[256];
	char *p = map(200);

	for (int i = 0; i < 200; i++)
		CHECK_EQ(watch(w, p + i * page, page, i), 0);
	munmap(p, 200 * page);
	CHECK_EQ(*w.counter, 1);
	/* A page of events at most, then the rest and LAST. */
	CHECK_EQ(read(w.fd, ev, sizeof(ev)), page);
	CHECK_EQ(read(w.fd, ev + page / 32, sizeof(ev) - page),
		 (200 - page / 32 + 1) * 32);
	for (int i = 0; i < 200; i++) {
		CHECK_EQ(ev[i].type, UMMUNOTIFY_EVENT_TYPE_INVAL);
		CHECK_EQ(ev[i].user_cookie_counter, i);
	}
	CHECK_EQ(ev[200].type, UMMUNOTIFY_EVENT_TYPE_LAST);
	CHECK_EQ(ev[200].user_cookie_counter, 1);
	expect_quiet(w);
}

static void test_short_reads(void)
{
	struct watcher w = watcher_open(O_NONBLOCK);
	struct ummunotify_event ev[3];
	char *p = map(3);

	CHECK_ERRNO(read(w.fd, ev, 31), EINVAL);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(watch(w, p + i * page, page, i), 0);
	munmap(p, 3 * page);
	CHECK_ERRNO(read(w.fd, ev, 0), EINVAL);
	CHECK_ERRNO(read(w.fd, ev, 31), EINVAL);
	CHECK_EQ(read(w.fd, ev, 63), 32);
	CHECK_EQ(ev[0].user_cookie_counter, 0);
	CHECK_EQ(read(w.fd, ev, 64), 64);
	CHECK_EQ(ev[1].user_cookie_counter, 2);
	/* The buffer was filled: LAST takes a record of its own. */
	CHECK_EQ(read(w.fd, ev, 96), 32);
	CHECK_EQ(ev[0].type, UMMUNOTIFY_EVENT_TYPE_LAST);
	CHECK_EQ(ev[0].user_cookie_counter, 1);
	expect_quiet(w);
}

static void test_last_carries_the_newest_counter(void)
{
	struct watcher w = watcher_open(O_NONBLOCK);
	char *p = map(2);

	CHECK_EQ(watch(w, p, page, 1), 0);
	CHECK_EQ(watch(w, p + page, page, 2), 0);
	madvise(p, page, MADV_DONTNEED);
	expect_inval(w, 1, true, p, p + page);
	madvise(p + page, page, MADV_DONTNEED);
	expect_inval(w, 2, true, p + page, p + 2 * page);
	expect_last(w, 2);
	expect_quiet(w);
}

static void test_unregister_of_pending_leaves_last(void)
{
	struct watcher w = watcher_open(O_NONBLOCK);
	struct pollfd pfd = { .fd = w.fd, .events = POLLIN };
	char *p = map(2);

	CHECK_EQ(watch(w, p, page, 1), 0);
	madvise(p, page, MADV_DONTNEED);
	CHECK_EQ(unwatch(w, 1), 0);
	CHECK_EQ(poll(&pfd, 1, 0), 1);
	expect_last(w, 1);
	expect_quiet(w);

	CHECK_EQ(watch(w, p, page, 1), 0);
	CHECK_EQ(watch(w, p, page, 2), 0);
	madvise(p, page, MADV_DONTNEED);
	expect_inval(w, 1, true, p, p + page);
	CHECK_EQ(unwatch(w, 2), 0);
	expect_last(w, 2);
	expect_quiet(w);
}

static void test_efault_loses_nothing(void)
{
	struct watcher w = watcher_open(O_NONBLOCK);
	struct ummunotify_event *ev;
	char *p = map(4), *buf = map(2);

	CHECK_EQ(mprotect(buf + page, page, PROT_NONE), 0);
	ev = (void *)(buf + page - sizeof(*ev));
	for (int i = 0; i < 3; i++)
		CHECK_EQ(watch(w, p + i * page, page, i), 0);
	munmap(p, 3 * page);

	CHECK_ERRNO(read(w.fd, NULL, page), EFAULT);
	CHECK_ERRNO(read(w.fd, ev, 4 * sizeof(*ev)), EFAULT);
	CHECK_EQ(*w.counter, 1);
	for (int i = 0; i < 3; i++)
		expect_inval(w, i, true, p + i * page, p + (i + 1) * page);
	/* A LAST that could not be delivered comes again, too. */
	CHECK_ERRNO(read(w.fd, buf + page, sizeof(*ev)), EFAULT);
	expect_last(w, 1);
	expect_quiet(w);
	CHECK_ERRNO(read(w.fd, NULL, page), EAGAIN);

	/* Put back and unregistered: only LAST is left. */
	CHECK_EQ(watch(w, p + 3 * page, page, 3), 0);
	munmap(p + 3 * page, page);
	CHECK_ERRNO(read(w.fd, NULL, page), EFAULT);
	CHECK_EQ(unwatch(w, 3), 0);
	expect_last(w, 2);
	expect_quiet(w);
}

/* The copy to user space itself hits the range: it is still reported. */
static void test_read_into_watched_memory(void)
{
	struct watcher w = watcher_open(O_NONBLOCK);
	struct ummunotify_event *ev;
	char *buf = mmap(NULL, page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ev = (void *)buf;
	CHECK(!*(volatile char *)buf);	/* the zero page: writing copies it */
	CHECK_EQ(watch(w, buf, page, 1), 0);
	CHECK_EQ(watch(w, buf + page, page, 2), 0);
	madvise(buf, page, MADV_DONTNEED);
	CHECK(!*(volatile char *)buf);
	CHECK_EQ(read(w.fd, ev, 64), 64);
	CHECK_EQ(ev[0].user_cookie_counter, 1);
	CHECK_EQ(ev[1].type, UMMUNOTIFY_EVENT_TYPE_LAST);
	CHECK_EQ(ev[1].user_cookie_counter, 1);
	expect_inval(w, 1, true, buf, buf + page);
	expect_last(w, 2);
}

/*
 * A read whose copy to user space stays where it is until it is told to go on:
 * it takes a page fault that userfaultfd tells of. Where the buffer ends on
 * the next page, the copy fails in the end.
 */
struct slow_read {
	struct watcher w;
	int fd;			/* the userfaultfd */
	char *buf;		/* a page to be faulted in, and one without access */
	size_t offset;
	size_t len;
	ssize_t ret;
	int err;
	pthread_t thread;
};

static void *read_slowly(void *arg)
{
	struct slow_read *r = arg;

	r->ret = read(r->w.fd, r->buf + r->offset, r->len);
	r->err = errno;
	return NULL;
}

static struct slow_read slow_read_prepare(struct watcher w)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct slow_read r = { .w = w };

	r.buf = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(r.buf != MAP_FAILED);
	CHECK_EQ(mprotect(r.buf + page, page, PROT_NONE), 0);
	reg.range.start = (uintptr_t)r.buf;
	reg.range.len = page;
	r.fd = (int)syscall(__NR_userfaultfd, O_CLOEXEC);
	if (r.fd < 0 || ioctl(r.fd, UFFDIO_API, &api) ||
	    ioctl(r.fd, UFFDIO_REGISTER, &reg))
		skip("no userfaultfd for faults of the kernel");
	return r;
}

/* Returns when the copy is under way. */
static void slow_read_start(struct slow_read *r, size_t offset, size_t len)
{
	struct uffd_msg msg;

	r->offset = offset;
	r->len = len;
	start_thread(&r->thread, read_slowly, r);
	CHECK_EQ(read(r->fd, &msg, sizeof(msg)), sizeof(msg));
	CHECK_EQ(msg.event, UFFD_EVENT_PAGEFAULT);
}

static void slow_read_go_on(struct slow_read *r)
{
	struct uffdio_zeropage zero = {
		.range = { .start = (uintptr_t)r->buf, .len = page },
	};

	CHECK_EQ(ioctl(r->fd, UFFDIO_ZEROPAGE, &zero), 0);
}

/* Hit again while its event is copied, which then fails: one merged event. */
static void test_putback(void)
{
	struct watcher w = watcher_with(UMMUNOTIFY_FEATURE_KIND);
	struct slow_read r = slow_read_prepare(w);
	struct ummunotify_event ev;
	char *p = map(8);

	CHECK_EQ(watch(w, p, 4 * page, 1), 0);
	CHECK_EQ(watch(w, p + 4 * page, 4 * page, 2), 0);
	madvise(p + page, page, MADV_DONTNEED);
	madvise(p + 4 * page, page, MADV_DONTNEED);
	slow_read_start(&r, page - 64, 96);
	mprotect(p + 3 * page, page, PROT_READ);
	slow_read_go_on(&r);
	pthread_join(r.thread, NULL);
	CHECK_EQ(r.ret, -1);
	CHECK_EQ(r.err, EFAULT);
	/* What was not hit again is back in front. */
	ev = next_event(w);
	CHECK_EQ(ev.user_cookie_counter, 2);
	CHECK_EQ(ev.flags, UMMUNOTIFY_EVENT_FLAG_HINT | UMMUNOTIFY_KIND_CLEAR);
	CHECK_EQ(ev.hint_start, (uintptr_t)p + 4 * page);
	CHECK_EQ(ev.hint_end, (uintptr_t)p + 5 * page);
	ev = next_event(w);
	CHECK_EQ(ev.user_cookie_counter, 1);
	CHECK_EQ(ev.flags, UMMUNOTIFY_KIND_CLEAR | UMMUNOTIFY_KIND_PROTECTION);
	CHECK_EQ(ev.hint_start, (uintptr_t)p);
	CHECK_EQ(ev.hint_end, (uintptr_t)p + 4 * page);
	expect_last(w, 3);
	expect_quiet(w);
}

/* The same, and the copy succeeds: the second hit is an event of its own. */
static void test_hit_while_copied(void)
{
	struct watcher w = watcher_open(O_NONBLOCK);
	struct slow_read r = slow_read_prepare(w);
	struct ummunotify_event *ev = (void *)r.buf;
	char *p = map(8);

	CHECK_EQ(watch(w, p, 8 * page, 1), 0);
	madvise(p + page, page, MADV_DONTNEED);
	slow_read_start(&r, 0, 2 * sizeof(*ev));
	madvise(p + 3 * page, page, MADV_DONTNEED);
	slow_read_go_on(&r);
	pthread_join(r.thread, NULL);
	CHECK_EQ(r.ret, 2 * sizeof(*ev));
	CHECK_EQ(ev[0].hint_start, (uintptr_t)p + page);
	CHECK_EQ(ev[1].type, UMMUNOTIFY_EVENT_TYPE_LAST);
	CHECK_EQ(ev[1].user_cookie_counter, 1);
	expect_inval(w, 1, true, p + 3 * page, p + 4 * page);
	expect_last(w, 2);
	expect_quiet(w);
}

struct unwatcher {
	struct watcher w;
	atomic_int done;
};

static void *unwatch_one(void *arg)
{
	struct unwatcher *u = arg;

	CHECK_EQ(unwatch(u->w, 1), 0);
	atomic_store(&u->done, 1);
	return NULL;
}

/* After UNREGISTER no read delivers the cookie: it waits for one that does. */
static void test_unregister_waits_for_copy(void)
{
	struct watcher w = watcher_open(O_NONBLOCK);
	struct slow_read r = slow_read_prepare(w);
	struct unwatcher u = { .w = w };
	char *p = map(1);
	pthread_t thread;

	CHECK_EQ(watch(w, p, page, 1), 0);
	madvise(p, page, MADV_DONTNEED);
	slow_read_start(&r, page - 32, 64);
	start_thread(&thread, unwatch_one, &u);
	sleep_ms(500);
	CHECK(!atomic_load(&u.done));
	slow_read_go_on(&r);
	pthread_join(r.thread, NULL);
	pthread_join(thread, NULL);
	CHECK_EQ(r.ret, -1);
	CHECK_EQ(r.err, EFAULT);
	expect_last(w, 1);
	expect_quiet(w);
}

/* What makes an event, and how many. */

static void test_causes(void)
{
	struct watcher w = watcher_open(O_NONBLOCK);
	char *p = map(8), *q, *shared;
	uint64_t before;
	pid_t pid;
	int fd;

#define STEPS(expr, n) do {				\
		drain(w);				\
		before = *w.counter;			\
		expr;					\
		CHECK_EQ(*w.counter - before, n);	\
	} while (0)

	CHECK_EQ(watch(w, p, 8 * page, 1), 0);
	STEPS(p[0] = 2, 0);
	STEPS(madvise(p, page, MADV_DONTNEED), 1);
	STEPS(p[0] = 2, 0);
	STEPS(madvise(p, page, MADV_FREE), 1);
	STEPS(mprotect(p, page, PROT_READ), 1);
	STEPS(mprotect(p, page, PROT_READ | PROT_WRITE), 1);
	STEPS(madvise(p, 8 * page, MADV_DONTFORK), 0);
	STEPS(mremap(p, 8 * page, 7 * page, 0), 1);
	STEPS(mmap(p + 6 * page, page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), 1);
	STEPS((void)*(volatile char *)(p + 6 * page), 0);
	STEPS(p[6 * page] = 1, 1);		/* copy of the zero page */
	STEPS(munmap(p, page), 1);
	CHECK_EQ(unwatch(w, 1), 0);

	p = map(1);
	q = map(1);
	CHECK_EQ(watch(w, p, page, 2), 0);
	STEPS(q = mremap(p, page, page, MREMAP_MAYMOVE | MREMAP_FIXED, q), 2);
	CHECK_EQ(unwatch(w, 2), 0);

	p = map(1);
	CHECK_EQ(watch(w, p, page, 3), 0);
	drain(w);
	before = *w.counter;
	pid = fork();
	if (!pid)
		_exit(0);
	wait_child(pid);
	CHECK_EQ(*w.counter - before, 1);
	CHECK_EQ(unwatch(w, 3), 0);

	/* Another process takes the page away. */
	fd = memfd_create("hole", 0);
	CHECK_EQ(ftruncate(fd, 4 * page), 0);
	shared = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	memset(shared, 1, 4 * page);
	CHECK_EQ(watch(w, shared, 4 * page, 4), 0);
	drain(w);
	before = *w.counter;
	pid = fork();
	if (!pid) {
		munmap(shared, 4 * page);
		if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      page, page))
			_exit(1);
		_exit(0);
	}
	wait_child(pid);
	CHECK_EQ(*w.counter - before, 1);
	expect_inval(w, 4, true, shared + page, shared + 2 * page);
	STEPS(CHECK_EQ(ftruncate(fd, 2 * page), 0), 2);
#undef STEPS
}

/* Waiting */

/*
 * However late it gets there. A read that comes while an invalidation is under
 * way does not sleep, and what it takes is told again at the end.
 */
static void wait_until_reads(pid_t tid)
{
	char path[64], text[32] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/syscall", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	/* The number of the call that it sleeps in, or "running". */
	for (;;) {
		CHECK(pread(fd, text, sizeof(text) - 1, 0) > 0);
		if (*text >= '0' && *text <= '9' && atoi(text) == __NR_read)
			break;
		sleep_ms(1);
	}
	close(fd);
}

static void *unmap_when_read(void *arg)
{
	wait_until_reads(getpid());
	munmap(arg, page);
	return NULL;
}

struct unmapper {
	char *start;
	size_t len;
	int ms;
};

static void *unmap_later(void *arg)
{
	struct unmapper *u = arg;

	sleep_ms(u->ms);
	munmap(u->start, u->len);
	return NULL;
}

static void test_blocking_read(void)
{
	struct watcher w = watcher_open(0);
	char *p = map(1);
	pthread_t thread;

	CHECK_EQ(watch(w, p, page, 1), 0);
	start_thread(&thread, unmap_when_read, p);
	expect_inval(w, 1, true, p, p + page);
	expect_last(w, 1);
	pthread_join(thread, NULL);
}

struct reader {
	struct watcher w;
	atomic_int tid;
	ssize_t ret;
	pthread_t thread;
};

static void *read_one(void *arg)
{
	struct reader *r = arg;
	struct ummunotify_event ev;

	atomic_store(&r->tid, (int)syscall(__NR_gettid));
	r->ret = read(r->w.fd, &ev, sizeof(ev));
	return NULL;
}

/* A read that sleeps must not keep anybody else from working. */
static void test_blocked_read_blocks_nobody(void)
{
	struct watcher w = watcher_open(0);
	struct reader readers[2] = { { .w = w }, { .w = w } };
	char *p = map(1);

	for (int i = 0; i < 2; i++)
		start_thread(&readers[i].thread, read_one, &readers[i]);
	for (int i = 0; i < 2; i++) {
		while (!atomic_load(&readers[i].tid))
			sched_yield();
		wait_until_reads(atomic_load(&readers[i].tid));
	}
	CHECK_EQ(watch(w, p, page, 1), 0);
	CHECK_EQ(unwatch(w, 1), 0);
	CHECK_EQ(watch(w, p, page, 1), 0);
	munmap(p, page);
	/* One event, one LAST: one record for each of them. */
	for (int i = 0; i < 2; i++) {
		pthread_join(readers[i].thread, NULL);
		CHECK_EQ(readers[i].ret, 32);
	}
	CHECK_EQ(fcntl(w.fd, F_SETFL, O_NONBLOCK), 0);
	expect_quiet(w);
}

static volatile sig_atomic_t signals;
static volatile sig_atomic_t last_band_code;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	signals++;
	last_band_code = info->si_code;
}

static void catch_signal(int sig)
{
	struct sigaction sa = {
		.sa_sigaction = on_signal,
		.sa_flags = SA_SIGINFO,
	};

	CHECK_EQ(sigaction(sig, &sa, NULL), 0);
}

static void *signal_when_read(void *arg)
{
	wait_until_reads(getpid());
	pthread_kill(*(pthread_t *)arg, SIGUSR1);
	return NULL;
}

static void test_read_is_interruptible(void)
{
	struct watcher w = watcher_open(0);
	pthread_t self = pthread_self(), thread;
	struct ummunotify_event ev;

	catch_signal(SIGUSR1);
	start_thread(&thread, signal_when_read, &self);
	CHECK_ERRNO(read(w.fd, &ev, sizeof(ev)), EINTR);
	CHECK_EQ(signals, 1);
	pthread_join(thread, NULL);
}

static void test_poll_select_epoll(void)
{
	struct watcher w = watcher_open(O_NONBLOCK);
	struct pollfd pfd = { .fd = w.fd, .events = POLLIN | POLLOUT };
	struct epoll_event ee = { .events = EPOLLIN };
	struct timeval zero = { 0, 0 };
	struct unmapper u;
	char *p = map(2);
	pthread_t thread;
	fd_set set;
	int ep;

	ep = epoll_create1(0);
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, w.fd, &ee), 0);
	FD_ZERO(&set);
	FD_SET(w.fd, &set);
	CHECK_EQ(poll(&pfd, 1, 0), 0);
	CHECK_EQ(select(w.fd + 1, &set, NULL, NULL, &zero), 0);
	CHECK_EQ(epoll_wait(ep, &ee, 1, 0), 0);

	CHECK_EQ(watch(w, p, page, 1), 0);
	CHECK_EQ(watch(w, p + page, page, 2), 0);
	u = (struct unmapper) { p, page, 100 };
	start_thread(&thread, unmap_later, &u);
	CHECK_EQ(poll(&pfd, 1, -1), 1);
	CHECK_EQ(pfd.revents, POLLIN);
	pthread_join(thread, NULL);
	FD_SET(w.fd, &set);
	CHECK_EQ(select(w.fd + 1, &set, NULL, NULL, &zero), 1);
	CHECK_EQ(epoll_wait(ep, &ee, 1, 0), 1);
	CHECK_EQ(ee.events, EPOLLIN);

	/* Readable until LAST has been read as well. */
	expect_inval(w, 1, true, p, p + page);
	CHECK_EQ(poll(&pfd, 1, 0), 1);
	expect_last(w, 1);
	CHECK_EQ(poll(&pfd, 1, 0), 0);
	CHECK_EQ(epoll_wait(ep, &ee, 1, 0), 0);

	u = (struct unmapper) { p + page, page, 100 };
	start_thread(&thread, unmap_later, &u);
	CHECK_EQ(epoll_wait(ep, &ee, 1, -1), 1);
	pthread_join(thread, NULL);
}

static void test_sigio(void)
{
	struct watcher w = watcher_open(O_NONBLOCK);
	char *p = map(2);
	int flags;

	catch_signal(SIGIO);
	catch_signal(SIGRTMIN);
	CHECK_EQ(fcntl(w.fd, F_SETOWN, getpid()), 0);
	flags = fcntl(w.fd, F_GETFL);
	CHECK_EQ(fcntl(w.fd, F_SETFL, flags | O_ASYNC), 0);
	CHECK_EQ(watch(w, p, page, 1), 0);
	CHECK_EQ(watch(w, p + page, page, 2), 0);
	CHECK_EQ(signals, 0);
	munmap(p, page);
	CHECK_EQ(signals, 1);
	CHECK_EQ(fcntl(w.fd, F_SETSIG, SIGRTMIN), 0);
	munmap(p + page, page);
	CHECK_EQ(signals, 2);
	CHECK_EQ(last_band_code, POLL_IN);
	CHECK_EQ(fcntl(w.fd, F_SETFL, flags), 0);
	CHECK_EQ(drain(w), 2);
}

/* Seconds that the first REGISTER of a file takes, which attaches it. */
static double attach(char *p)
{
	struct watcher w = { .fd = open(DEVICE, O_RDONLY | O_CLOEXEC) };
	double start = now();

	CHECK(w.fd >= 0);
	CHECK_EQ(watch(w, p, page, 1), 0);
	start = now() - start;
	CHECK_EQ(close(w.fd), 0);
	return start;
}

/*
 * Attaching to the address space gives up on a signal; nobody may see that.
 * One signal for each, sooner or later: with signals on and on, a machine that
 * is slow enough would never get through between two of them.
 */
static void test_signals_do_not_leak(void)
{
	struct sigevent ev = {
		.sigev_notify = SIGEV_SIGNAL,
		.sigev_signo = SIGUSR1,
	};
	double takes = 1;
	char *p = map(1);
	timer_t timer;

	/* Many mappings, so that taking all their locks takes a while. */
	for (int i = 0; i < 2000; i++)
		CHECK(mmap(NULL, page, i & 1 ? PROT_READ : PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
	for (int i = 0; i < 10; i++) {
		double took = attach(p);

		takes = took < takes ? took : takes;
	}
	catch_signal(SIGUSR1);
	CHECK_EQ(timer_create(CLOCK_MONOTONIC, &ev, &timer), 0);
	for (int i = 0; i < 300; i++) {
		struct itimerspec once = {
			.it_value.tv_nsec = 1 + (long)(takes * 1e9 * i / 300),
		};

		CHECK_EQ(timer_settime(timer, 0, &once, NULL), 0);
		attach(p);
	}
	timer_delete(timer);
	printf("# %d signals, %.0f us to attach\n", signals, takes * 1e6);
	CHECK(signals > 0);
}

/* Other processes */

static void test_forked_child_gets_eio(void)
{
	struct watcher w = watcher_open(O_NONBLOCK);
	char *p = map(2);
	pid_t pid;

	CHECK_EQ(watch(w, p, page, 1), 0);
	madvise(p, page, MADV_DONTFORK);
	munmap(p, page);
	pid = fork();
	if (!pid) {
		struct pollfd pfd = { .fd = w.fd, .events = POLLIN };
		struct ummunotify_event ev;
		__u32 word = 0;

		CHECK_ERRNO(watch(w, p + page, page, 2), EIO);
		CHECK_ERRNO(unwatch(w, 1), EIO);
		CHECK_ERRNO(read(w.fd, &ev, sizeof(ev)), EIO);
		CHECK_ERRNO(ioctl(w.fd, UMMUNOTIFY_EXCHANGE_FEATURES, &word),
			    EIO);
		CHECK_EQ(poll(&pfd, 1, 0), 1);
		CHECK_EQ(*w.counter, 1);
		/* Its own invalidations are none of the parent's. */
		munmap(p + page, page);
		CHECK_EQ(*w.counter, 1);

		/* A file of its own works. */
		w = watcher_open(O_NONBLOCK);
		p = map(1);
		CHECK_EQ(watch(w, p, page, 1), 0);
		munmap(p, page);
		expect_inval(w, 1, true, p, p + page);
		expect_last(w, 1);
		_exit(0);
	}
	wait_child(pid);
	expect_inval(w, 1, true, p, p + page);
	expect_last(w, 1);
	expect_quiet(w);
}

static void test_threads_and_vfork_share(void)
{
	struct watcher w = watcher_open(O_NONBLOCK);
	char *p = map(1);
	pid_t pid;

	pid = vfork();
	if (!pid) {
		if (watch(w, p, page, 1))
			_exit(1);
		_exit(0);
	}
	wait_child(pid);
	CHECK_EQ(*w.counter, 0);
	munmap(p, page);
	expect_inval(w, 1, true, p, p + page);
}

/* The owner is gone, its memory is gone, and the file is still open here. */
static void test_passed_on_and_outlived(void)
{
	struct ummunotify_event ev;
	volatile uint64_t *counter;
	struct watcher w;
	int socks[2];
	pid_t pid;

	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, socks), 0);
	pid = fork();
	if (!pid) {
		char *p = map(100);

		w = watcher_open(O_NONBLOCK);
		for (int i = 0; i < 100; i++)
			CHECK_EQ(watch(w, p + i * page, page, i), 0);
		munmap(p, 50 * page);
		send_fd(socks[1], w.fd);
		_exit(0);
	}
	w.fd = receive_fd(socks[0]);
	wait_child(pid);
	CHECK_ERRNO(read(w.fd, &ev, sizeof(ev)), EIO);
	CHECK_ERRNO(watch(w, socks, page, 1), EIO);
	counter = mmap(NULL, page, PROT_READ, MAP_SHARED, w.fd, 0);
	CHECK(counter != MAP_FAILED);
	/* At least the munmap; exit_mmap() does not report. */
	CHECK(*counter >= 1);
	CHECK_EQ(close(w.fd), 0);
	munmap((void *)counter, page);
}

static void test_close_with_ranges(void)
{
	const int ranges = 50000;
	char *p = map(16);

	for (int round = 0; round < 3; round++) {
		struct watcher w = watcher_open(O_NONBLOCK);

		for (int i = 0; i < ranges; i++)
			CHECK_EQ(watch(w, p + i % 16 * page, page,
				       i * UINT64_C(0x9e3779b97f4a7c15)), 0);
		if (round == 1)
			madvise(p, 16 * page, MADV_DONTNEED);
		munmap((void *)w.counter, page);
		CHECK_EQ(close(w.fd), 0);
		madvise(p, 16 * page, MADV_DONTNEED);
	}
}

static void test_exit_with_ranges(void)
{
	pid_t pid = fork();

	if (!pid) {
		struct watcher w = watcher_open(0);
		char *p = map(16);

		for (int i = 0; i < 1000; i++)
			CHECK_EQ(watch(w, p + i % 16 * page, page, i), 0);
		munmap(p, 8 * page);
		_exit(0);
	}
	wait_child(pid);
}

static void test_killed_while_reading(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct watcher w = watcher_open(0);

		CHECK_EQ(watch(w, map(1), page, 1), 0);
		next_event(w);
		_exit(1);
	}
	wait_until_reads(pid);
	kill(pid, SIGKILL);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* Between start and end */

struct zapper {
	char *start;
	size_t len;
	uint64_t before;	/* the counter */
	atomic_int go;
	atomic_int done;
};

static void *zap(void *arg)
{
	struct zapper *z = arg;

	while (!atomic_load(&z->go))
		sched_yield();
	madvise(z->start, z->len, MADV_DONTNEED);
	atomic_store(&z->done, 1);
	return NULL;
}

/* Large enough that another thread gets something done meanwhile. */
#define ZAP_PAGES	65536
#define ZAP_TRIES	20
/* A slow machine has fewer tries: to be ended by the limit says nothing. */
#define ZAP_SECONDS	(TIME_LIMIT / 5)

struct tries {
	int begun;	/* while the other thread was still inside */
	int told;	/* and fn was quick enough to tell something */
};

static bool counter_stands(struct watcher w, struct zapper *z)
{
	return *w.counter == z->before;
}

/* Does not touch the page: a page that is read and then written is an event. */
static bool first_page_is_there(struct watcher w, struct zapper *z)
{
	unsigned char there;

	(void)w;
	CHECK_EQ(mincore(z->start, page, &there), 0);
	return there & 1;
}

/*
 * What is there for whoever pins the page now. Not loaded by this CPU: the page
 * tables are changed before the end of an invalidation, but the TLBs are
 * flushed after it, so a load may still find the page that is gone.
 */
static char pinned_byte(char *p)
{
	char byte;
	struct iovec local = { &byte, 1 }, remote = { p, 1 };

	CHECK_EQ(process_vm_readv(getpid(), &local, 1, &remote, 1, 0), 1);
	return byte;
}

/*
 * Runs fn while a MADV_DONTNEED of z->start is under way, once wait is false;
 * what fn returns says whether it was quick enough to tell something.
 */
static struct tries
try_while_zapping(struct watcher w,
		  bool (*wait)(struct watcher w, struct zapper *z),
		  bool (*fn)(struct watcher w, struct zapper *z))
{
	struct zapper z = { .len = ZAP_PAGES * page };
	double deadline = now() + ZAP_SECONDS;
	struct tries tries = { 0 };

	z.start = map(ZAP_PAGES);
	CHECK_EQ(watch(w, z.start, z.len, 1), 0);
	for (int i = 0; i < ZAP_TRIES && tries.told < 3 && now() < deadline;
	     i++) {
		pthread_t thread;

		fill(z.start, z.len);
		drain(w);
		z.before = *w.counter;
		atomic_store(&z.go, 0);
		atomic_store(&z.done, 0);
		start_thread(&thread, zap, &z);
		atomic_store(&z.go, 1);
		while (wait(w, &z))
			;
		tries.begun += !atomic_load(&z.done);
		tries.told += fn(w, &z);
		pthread_join(thread, NULL);
	}
	return tries;
}

static void while_zapping(struct watcher w,
			  bool (*fn)(struct watcher w, struct zapper *z))
{
	if (!try_while_zapping(w, counter_stands, fn).told)
		skip("never quick enough");
}

static bool counter_has_moved(struct watcher w, struct zapper *z)
{
	uint64_t counter = *w.counter;
	bool inside = !atomic_load(&z->done);

	CHECK_EQ(counter, z->before + 1);
	return inside;
}

/* Whoever can know that a page is gone finds the counter moved. */
static void test_moved_before(void)
{
	struct watcher w = watcher_open(O_NONBLOCK);

	if (!try_while_zapping(w, first_page_is_there, counter_has_moved).told)
		skip("never quick enough");
}

static bool drain_early(struct watcher w, struct zapper *z)
{
	uint64_t counter = z->before + 1;
	struct ummunotify_event ev[2];
	bool early;

	/* At once: the zap may end, and be told again, between two reads. */
	CHECK_EQ(read(w.fd, ev, sizeof(ev)), sizeof(ev));
	check_inval(ev[0], 1, true, z->start, z->start + z->len);
	CHECK_EQ(ev[1].type, UMMUNOTIFY_EVENT_TYPE_LAST);
	CHECK_EQ(ev[1].user_cookie_counter, counter);
	/* It may have ended though the other thread is not done yet. */
	early = pinned_byte(z->start + z->len - page) == 1;
	while (!atomic_load(&z->done))
		;
	if (!early)
		return false;
	CHECK_EQ(*w.counter, counter + 1);
	expect_inval(w, 1, true, z->start, z->start + z->len);
	expect_last(w, counter + 1);
	expect_quiet(w);
	return true;
}

static void test_drained_early_is_reported_again(void)
{
	while_zapping(watcher_open(O_NONBLOCK), drain_early);
}

static bool drain_late(struct watcher w, struct zapper *z)
{
	uint64_t counter = *w.counter;

	while (!atomic_load(&z->done))
		;
	CHECK_EQ(*w.counter, counter);
	expect_inval(w, 1, true, z->start, z->start + z->len);
	expect_last(w, counter);
	return true;
}

static void test_drained_late_is_reported_once(void)
{
	while_zapping(watcher_open(O_NONBLOCK), drain_late);
}

static bool register_early(struct watcher w, struct zapper *z)
{
	char *tail = z->start + z->len - page;
	bool early = pinned_byte(tail) == 1;

	CHECK_EQ(watch(w, tail, page, 2), 0);
	/* The page that is there now is not the one about to go. */
	CHECK_EQ(pinned_byte(tail), 0);
	/* And nothing is said about the new range. */
	while (!atomic_load(&z->done))
		;
	CHECK_EQ(drain(w), 1);
	CHECK_EQ(unwatch(w, 2), 0);
	return early;
}

static void test_register_waits_for_open_invalidation(void)
{
	while_zapping(watcher_open(O_NONBLOCK), register_early);
}

static bool register_elsewhere(struct watcher w, struct zapper *z)
{
	CHECK_EQ(watch(w, z->start + z->len, page, 2), 0);
	CHECK_EQ(watch(w, z->start - page, page, 3), 0);
	CHECK_EQ(watch(w, z->start + page, 0, 4), 0);
	CHECK_EQ(unwatch(w, 2), 0);
	CHECK_EQ(unwatch(w, 3), 0);
	CHECK_EQ(unwatch(w, 4), 0);
	/* Is the other thread not even there yet? Then nothing has waited. */
	return pinned_byte(z->start + z->len - page) == 1;
}

/*
 * One try can always end too late: this thread may just not have been running.
 * When all do, it is because REGISTER has waited.
 */
static void test_register_elsewhere_does_not_wait(void)
{
	struct watcher w = watcher_open(O_NONBLOCK);
	struct tries tries = try_while_zapping(w, counter_stands,
					       register_elsewhere);

	printf("# %d tries began inside, %d ended there\n", tries.begun,
	       tries.told);
	if (tries.begun < ZAP_TRIES / 2 && !tries.told)
		skip("never quick enough");
	CHECK(tries.told > 0);
}

/*
 * z[0] is dropped when REGISTER is called for both, and z[1] is when it waits
 * for that. The larger one: it is not through when REGISTER returns.
 */
static void try_overlapping(struct watcher w, struct zapper z[2],
			    struct tries *tries)
{
	size_t len = z[0].len + z[1].len;
	char *tail = z[1].start + z[1].len - page;
	struct ummunotify_event ev;
	uint64_t before;
	pthread_t threads[2];
	bool behind = false;
	bool inside;

	fill(z[0].start, len);
	for (int i = 0; i < 2; i++) {
		atomic_store(&z[i].go, 0);
		atomic_store(&z[i].done, 0);
		start_thread(&threads[i], zap, &z[i]);
	}
	drain(w);
	before = *w.counter;
	atomic_store(&z[0].go, 1);
	while (*w.counter == before)
		;
	atomic_store(&z[1].go, 1);
	CHECK_EQ(watch(w, z[0].start, len, 3), 0);
	inside = pinned_byte(tail) == 1;
	/* The one before it has been waited for. */
	CHECK_EQ(pinned_byte(z[0].start + z[0].len - page), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	/* Only what was opened after it was armed is told to the new range. */
	do {
		ev = next_event(w);
		if (ev.type == UMMUNOTIFY_EVENT_TYPE_INVAL &&
		    ev.user_cookie_counter == 3)
			behind = true;
	} while (ev.type != UMMUNOTIFY_EVENT_TYPE_LAST);
	CHECK_EQ(unwatch(w, 3), 0);
	tries->begun += behind;
	tries->told += behind && inside;
}

/*
 * REGISTER waits for those before it, not for those behind it: a stream of them
 * would hold it up for ever.
 */
static void test_register_is_not_starved(void)
{
	struct watcher w = watcher_open(O_NONBLOCK);
	const size_t len = ZAP_PAGES / 8 * page;
	char *p = map(ZAP_PAGES / 8 * 5);
	struct zapper z[2] = {
		{ .start = p, .len = len },
		{ .start = p + len, .len = 4 * len },
	};
	double deadline = now() + ZAP_SECONDS;
	struct tries tries = { 0 };

	CHECK_EQ(watch(w, z[0].start, z[0].len, 1), 0);
	for (int i = 0; i < ZAP_TRIES && tries.told < 3 && now() < deadline; i++)
		try_overlapping(w, z, &tries);
	printf("# %d calls with another zap behind them, %d did not wait for it\n",
	       tries.begun, tries.told);
	if (tries.begun < ZAP_TRIES / 2 && !tries.told)
		skip("never a zap behind a call that waits");
	CHECK(tries.told > 0);
}

static atomic_int stop;

static void *zap_on_and_on(void *arg)
{
	struct zapper *z = arg;

	while (!atomic_load(&stop))
		madvise(z->start, z->len, MADV_DONTNEED);
	return NULL;
}

/* A watcher that tells only so many open invalidations apart. */
static struct watcher watcher_with_places(const char *places)
{
	int fd = open(OPEN_PLACES, O_RDWR);
	char old[32] = "";
	struct watcher w;

	if (fd < 0)
		skip("cannot change open_places");
	CHECK(read(fd, old, sizeof(old) - 1) > 0);
	CHECK(pwrite(fd, places, strlen(places), 0) > 0);
	w.fd = open(DEVICE, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	CHECK(pwrite(fd, old, strlen(old), 0) > 0);
	close(fd);
	CHECK(w.fd >= 0);
	w.counter = mmap(NULL, page, PROT_READ, MAP_SHARED, w.fd, 0);
	CHECK(w.counter != MAP_FAILED);
	return w;
}

/*
 * Two invalidations take the places there are, a third one finds none. It is
 * waited for all the same, reported again when it was drained early, and in
 * the end all is as before.
 */
static bool try_spilled(struct watcher w, struct zapper z[3])
{
	char *tail = z[2].start + z[2].len - page;
	uint64_t before;
	pthread_t threads[3];
	bool spilled = true;

	for (int i = 0; i < 3; i++) {
		fill(z[i].start, z[i].len);
		atomic_store(&z[i].go, 0);
		atomic_store(&z[i].done, 0);
		start_thread(&threads[i], zap, &z[i]);
	}
	drain(w);
	before = *w.counter;
	for (int i = 0; i < 3; i++) {
		atomic_store(&z[i].go, 1);
		while (*w.counter < before + i + 1)
			;
	}
	drain(w);
	for (int i = 0; i < 3; i++)
		spilled &= !atomic_load(&z[i].done);
	spilled &= pinned_byte(tail) == 1;
	CHECK_EQ(watch(w, tail, page, 4), 0);
	/* The page that is there now is not the one about to go. */
	CHECK_EQ(pinned_byte(tail), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	if (spilled) {
		/* The page of the third was gone only after the drain. */
		bool again = false;

		for (;;) {
			struct ummunotify_event ev = next_event(w);

			if (ev.type == UMMUNOTIFY_EVENT_TYPE_LAST)
				break;
			again |= ev.user_cookie_counter == 2;
		}
		CHECK(again);
		expect_quiet(w);
	}
	CHECK_EQ(unwatch(w, 4), 0);
	return spilled;
}

static void test_spilled_is_waited_for(void)
{
	struct watcher w = watcher_with_places("2");
	double deadline = now() + ZAP_SECONDS;
	struct zapper z[3];
	int told = 0;

	for (int i = 0; i < 3; i++) {
		z[i].len = ZAP_PAGES / 2 * page;
		z[i].start = map(ZAP_PAGES / 2);
		CHECK_EQ(watch(w, z[i].start, z[i].len, i), 0);
	}
	for (int i = 0; i < ZAP_TRIES && told < 3 && now() < deadline; i++)
		told += try_spilled(w, z);
	if (!told)
		skip("never three at a time");
}

/* Many invalidations open at a time, with threads preempted inside them. */
#define CROWD		24
#define CROWD_PAGES	1024

static void *zap_own(void *arg)
{
	int fd = (intptr_t)arg;
	const size_t len = CROWD_PAGES * page;
	char *p = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);

	CHECK(p != MAP_FAILED);
	while (!atomic_load(&stop)) {
		madvise(p, len, MADV_POPULATE_READ);
		madvise(p, len, MADV_DONTNEED);
	}
	return NULL;
}

static void test_crowd(void)
{
	struct watcher w = watcher_with_places("2");
	int fd = memfd_create("crowd", 0);
	static pthread_t threads[CROWD];
	struct ummunotify_event ev;
	uint64_t before;
	double deadline;
	char *p = map(1);

	CHECK_EQ(ftruncate(fd, CROWD_PAGES * page), 0);
	for (intptr_t i = 0; i < CROWD; i++)
		start_thread(&threads[i], zap_own, (void *)(intptr_t)fd);
	deadline = now() + 3;
	while (now() < deadline) {
		CHECK_EQ(watch(w, p, page, 1), 0);
		CHECK_EQ(watch(w, NULL, UINTPTR_MAX, 2), 0);
		drain(w);
		CHECK_EQ(unwatch(w, 1), 0);
		CHECK_EQ(unwatch(w, 2), 0);
	}
	atomic_store(&stop, 1);
	for (int i = 0; i < CROWD; i++)
		pthread_join(threads[i], NULL);

	/* All is settled: exactly one step for one hit again. */
	drain(w);
	CHECK_EQ(watch(w, p, page, 1), 0);
	drain(w);
	before = *w.counter;
	munmap(p, page);
	CHECK_EQ(*w.counter, before + 1);
	ev = next_event(w);
	CHECK_EQ(ev.user_cookie_counter, 1);
	expect_last(w, *w.counter);
	expect_quiet(w);
}

/* Threads against each other */

#define STRESS_COOKIES 64

static struct watcher stress_watcher;
static char *stress_memory;
static pthread_mutex_t stress_lock[STRESS_COOKIES];
static bool stress_watched[STRESS_COOKIES];

static unsigned int random_below(unsigned int *seed, unsigned int n)
{
	*seed = *seed * 1103515245 + 12345;
	return (*seed >> 16) % n;
}

static void *stress_zap(void *arg)
{
	unsigned int seed = (uintptr_t)arg;

	while (!atomic_load(&stop)) {
		unsigned int i = random_below(&seed, STRESS_COOKIES);
		unsigned int n = 1 + random_below(&seed, STRESS_COOKIES - i);

		madvise(stress_memory + i * page, n * page, MADV_DONTNEED);
		stress_memory[i * page] = 1;
	}
	return NULL;
}

static void *stress_watch(void *arg)
{
	unsigned int seed = (uintptr_t)arg;

	while (!atomic_load(&stop)) {
		unsigned int i = random_below(&seed, STRESS_COOKIES);

		pthread_mutex_lock(&stress_lock[i]);
		if (stress_watched[i])
			CHECK_EQ(unwatch(stress_watcher, i), 0);
		else
			CHECK_EQ(watch(stress_watcher, stress_memory + i * page,
				       page, i), 0);
		stress_watched[i] = !stress_watched[i];
		pthread_mutex_unlock(&stress_lock[i]);
	}
	return NULL;
}

static void *stress_read(void *arg)
{
	unsigned int seed = (uintptr_t)arg;
	struct ummunotify_event ev[16];

	while (!atomic_load(&stop)) {
		void *buf = random_below(&seed, 4) ? ev : NULL;
		size_t n = 1 + random_below(&seed, 16);
		ssize_t ret = read(stress_watcher.fd, buf, n * sizeof(*ev));

		if (ret < 0) {
			CHECK(errno == EAGAIN || (errno == EFAULT && !buf));
			continue;
		}
		CHECK(ret > 0 && ret % sizeof(*ev) == 0);
		for (size_t i = 0; i < ret / sizeof(*ev); i++) {
			if (ev[i].type == UMMUNOTIFY_EVENT_TYPE_LAST)
				continue;
			CHECK(ev[i].user_cookie_counter < STRESS_COOKIES);
			CHECK_EQ(ev[i].hint_start, (uintptr_t)stress_memory +
				 ev[i].user_cookie_counter * page);
			CHECK_EQ(ev[i].hint_end - ev[i].hint_start, page);
		}
	}
	return NULL;
}

static void test_stress(void)
{
	void *(*const roles[])(void *) = {
		stress_zap, stress_zap, stress_watch, stress_watch,
		stress_read, stress_read,
	};
	const int n = sizeof(roles) / sizeof(*roles);
	struct ummunotify_event ev;
	uint64_t last = 0;
	pthread_t threads[n];

	stress_watcher = watcher_open(O_NONBLOCK);
	stress_memory = map(STRESS_COOKIES);
	for (int i = 0; i < STRESS_COOKIES; i++)
		pthread_mutex_init(&stress_lock[i], NULL);
	for (int i = 0; i < n; i++)
		start_thread(&threads[i], roles[i], (void *)(uintptr_t)(i + 1));
	sleep(5);
	atomic_store(&stop, 1);
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);

	/* Quiet now: one more hit, and the LAST carries the counter. */
	if (!stress_watched[0])
		CHECK_EQ(watch(stress_watcher, stress_memory, page, 0), 0);
	madvise(stress_memory, page, MADV_DONTNEED);
	do {
		ev = next_event(stress_watcher);
		if (ev.type == UMMUNOTIFY_EVENT_TYPE_LAST)
			last = ev.user_cookie_counter;
	} while (!last);
	CHECK_EQ(last, *stress_watcher.counter);
	expect_quiet(stress_watcher);
	CHECK(*stress_watcher.counter > 100);
}

/* Once UNREGISTER has returned, no read that starts later has the cookie. */
static atomic_ullong retired;

static void *check_retired(void *arg)
{
	struct ummunotify_event ev[128];

	(void)arg;
	while (!atomic_load(&stop)) {
		uint64_t below = atomic_load(&retired);
		ssize_t ret = read(stress_watcher.fd, ev, sizeof(ev));

		for (ssize_t i = 0; i < ret / 32; i++)
			if (ev[i].type == UMMUNOTIFY_EVENT_TYPE_INVAL)
				CHECK(ev[i].user_cookie_counter > below);
	}
	return NULL;
}

static void test_unregistered_is_not_reported(void)
{
	pthread_t threads[3];
	char *p = map(1);
	struct zapper z = { .start = p, .len = page };

	stress_watcher = watcher_open(O_NONBLOCK);
	start_thread(&threads[0], zap_on_and_on, &z);
	start_thread(&threads[1], check_retired, NULL);
	start_thread(&threads[2], check_retired, NULL);
	for (uint64_t cookie = 1; cookie < 3000; cookie++) {
		CHECK_EQ(watch(stress_watcher, p, page, cookie), 0);
		CHECK_EQ(unwatch(stress_watcher, cookie), 0);
		atomic_store(&retired, cookie);
	}
	atomic_store(&stop, 1);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}

/* Several readers with O_NONBLOCK: who comes too late must not sleep. */
static void *read_records(void *arg)
{
	struct watcher *w = arg;
	struct ummunotify_event ev;

	while (!atomic_load(&stop))
		CHECK(read(w->fd, &ev, sizeof(ev)) == sizeof(ev) ||
		      errno == EAGAIN);
	return NULL;
}

static void test_nonblocking_read_never_sleeps(void)
{
	for (int round = 0; round < 100; round++) {
		struct watcher w = watcher_open(O_NONBLOCK);
		char *p = map(1);
		pthread_t threads[3];

		atomic_store(&stop, 0);
		CHECK_EQ(watch(w, p, page, 1), 0);
		for (int i = 0; i < 3; i++)
			start_thread(&threads[i], read_records, &w);
		for (int i = 0; i < 100; i++)
			madvise(p, page, MADV_DONTNEED);
		atomic_store(&stop, 1);
		for (int i = 0; i < 3; i++)
			pthread_join(threads[i], NULL);
		munmap((void *)w.counter, page);
		close(w.fd);
		munmap(p, page);
	}
}

/* Cost */

/*
 * Seconds for one of each call, the best of many: it takes so little that some
 * are made without an interruption on a busy machine, too.
 */
static double time_calls(struct watcher w, char *p)
{
	double best = 1e9;

	for (int i = 0; i < 300; i++) {
		double start = now();

		CHECK_EQ(watch(w, p, page, UINT64_MAX), 0);
		madvise(p, page, MADV_DONTNEED);
		drain(w);
		CHECK_EQ(unwatch(w, UINT64_MAX), 0);
		start = now() - start;
		best = start < best ? start : best;
	}
	return best;
}

static void test_cost_does_not_grow_with_ranges(void)
{
	struct watcher w = watcher_open(O_NONBLOCK);
	char *p = map(1), *other = map(1);
	double few, many;

	for (uint64_t i = 0; i < 100; i++)
		CHECK_EQ(watch(w, other, page, i), 0);
	few = time_calls(w, p);
	for (uint64_t i = 100; i < 10000; i++)
		CHECK_EQ(watch(w, other, page, i), 0);
	many = time_calls(w, p);
	printf("# %.1f us with 100 ranges, %.1f us with 10000\n",
	       few * 1e6, many * 1e6);
	CHECK(many < 5 * few);
}

static void test_memory_is_charged_to_its_user(void)
{
	const int ranges = 100000;
	pid_t pid;

	cgroup_make();
	pid = fork();
	if (!pid) {
		struct watcher w;
		long before, after;
		char *p;

		CHECK(cgroup_enter());
		w = watcher_open(O_NONBLOCK);
		p = map(1);
		CHECK_EQ(watch(w, p, page, ranges), 0);
		before = read_number(CGROUP "/memory.current");
		for (int i = 0; i < ranges; i++)
			CHECK_EQ(watch(w, p, page, i), 0);
		after = read_number(CGROUP "/memory.current");
		printf("# %ld bytes a range\n", (after - before) / ranges);
		/* 128, and more with what debugging and the group itself add. */
		CHECK(after - before > 120L * ranges);
		fflush(stdout);
		_exit(0);
	}
	wait_child(pid);
	cgroup_remove();
}

/* Close while everything else is going on. */
static void test_close_under_fire(void)
{
	struct zapper z = { .start = map(64), .len = 64 * page };
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		start_thread(&threads[i], zap_on_and_on, &z);
	for (int i = 0; i < 50; i++) {
		struct watcher w = watcher_open(O_NONBLOCK);

		for (int j = 0; j < 64; j++)
			CHECK_EQ(watch(w, z.start + j * page, page, j), 0);
		drain(w);
		munmap((void *)w.counter, page);
		close(w.fd);
	}
	atomic_store(&stop, 1);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

/*
 * A client that is told EAGAIN takes the counter it has loaded before for
 * drained. So whoever has seen the counter move must never be told that.
 */
static void test_eagain_means_drained(void)
{
	struct zapper z = { .start = map(1), .len = page };
	struct watcher w = watcher_open(O_NONBLOCK);
	struct ummunotify_event ev[4];
	uint64_t drained = 0;
	pthread_t thread;

	CHECK_EQ(watch(w, z.start, page, 1), 0);
	start_thread(&thread, zap_on_and_on, &z);
	for (time_t end = time(NULL) + 10; time(NULL) < end;) {
		uint64_t count = __atomic_load_n(w.counter, __ATOMIC_ACQUIRE);
		ssize_t n;

		if (count == drained)
			continue;
		n = read(w.fd, ev, sizeof(ev));
		if (n > 0) {
			CHECK_EQ(ev[n / sizeof(*ev) - 1].type,
				 UMMUNOTIFY_EVENT_TYPE_LAST);
			drained = ev[n / sizeof(*ev) - 1].user_cookie_counter;
		} else {
			struct pollfd pfd = { .fd = w.fd, .events = POLLIN };

			CHECK_EQ(errno, EAGAIN);
			drained = count;
			if (poll(&pfd, 1, 0) == 1)
				CHECK(*w.counter != drained);
		}
	}
	atomic_store(&stop, 1);
	pthread_join(thread, NULL);
}

/* Extensions */

static void clear_soft_dirty(void)
{
	int fd = open("/proc/self/clear_refs", O_WRONLY);

	CHECK(fd >= 0);
	CHECK_EQ(write(fd, "4", 1), 1);
	close(fd);
}

static __u32 next_flags(struct watcher w)
{
	struct ummunotify_event ev = next_event(w);
	uint64_t counter = *w.counter;

	CHECK_EQ(ev.type, UMMUNOTIFY_EVENT_TYPE_INVAL);
	expect_last(w, counter);
	return ev.flags;
}

static void test_event_kind(void)
{
	struct watcher w = watcher_with(UMMUNOTIFY_FEATURE_KIND);
	const __u32 hint = UMMUNOTIFY_EVENT_FLAG_HINT;
	char *p = map(4);
	pid_t pid;

	CHECK_EQ(watch(w, p, 4 * page, 1), 0);
	madvise(p, page, MADV_DONTNEED);
	CHECK_EQ(next_flags(w), hint | UMMUNOTIFY_KIND_CLEAR);
	mprotect(p, page, PROT_READ);
	CHECK_EQ(next_flags(w), hint | UMMUNOTIFY_KIND_PROTECTION);
	pid = fork();
	if (!pid)
		_exit(0);
	wait_child(pid);
	/* The fork protects mapping by mapping, and there are two now. */
	CHECK_EQ(next_flags(w) & ~hint, UMMUNOTIFY_KIND_WRITE_PROTECT);
	drain(w);
	munmap(p, page);
	CHECK_EQ(next_flags(w), hint | UMMUNOTIFY_KIND_UNMAP);

	/* Merged hits have all their kinds, and a failed read keeps them. */
	madvise(p + page, page, MADV_DONTNEED);
	CHECK_ERRNO(read(w.fd, NULL, page), EFAULT);
	munmap(p + page, page);
	CHECK_ERRNO(read(w.fd, NULL, page), EFAULT);
	CHECK_EQ(next_flags(w), UMMUNOTIFY_KIND_CLEAR | UMMUNOTIFY_KIND_UNMAP);
	munmap(p + 2 * page, page);
	CHECK_EQ(next_flags(w), hint | UMMUNOTIFY_KIND_UNMAP);
}

/*
 * Write-protects pages as NUMA balancing does, with the mmap_lock held for
 * reading, but when told to. False where that is not allowed.
 */
static bool protect_by_userfaultfd(char *p, size_t len)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_PAGEFAULT_FLAG_WP,
	};
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)p, .len = len },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};
	struct uffdio_writeprotect wp = {
		.range = reg.range,
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};
	int fd = (int)syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	return fd >= 0 && !ioctl(fd, UFFDIO_API, &api) &&
	       !ioctl(fd, UFFDIO_REGISTER, &reg) &&
	       !ioctl(fd, UFFDIO_WRITEPROTECT, &wp);
}

/* A protection that is changed by something else is not mprotect(). */
static void test_translation_mprotect(void)
{
	struct watcher all = watcher_open(O_NONBLOCK);
	struct watcher few = watcher_with(UMMUNOTIFY_FEATURE_TRANSLATION);
	char *p = map(4);

	CHECK_EQ(watch(all, p, 4 * page, 1), 0);
	CHECK_EQ(watch(few, p, 4 * page, 1), 0);
	for (int i = 1; i <= 100; i++) {
		mprotect(p, page, i % 2 ? PROT_READ : PROT_READ | PROT_WRITE);
		CHECK_EQ(*few.counter, i);
		CHECK_EQ(drain(few), 1);
	}
	CHECK_EQ(*all.counter, 100);
	CHECK_EQ(drain(all), 1);
	if (!protect_by_userfaultfd(p, 4 * page))
		skip("no write protection by userfaultfd");
	CHECK_EQ(*all.counter, 101);
	CHECK_EQ(drain(all), 1);
	CHECK_EQ(*few.counter, 100);
	expect_quiet(few);
	/* And its end has not upset what comes later. */
	CHECK_EQ(watch(few, p, page, 2), 0);
	mprotect(p, 4 * page, PROT_READ);
	CHECK_EQ(*few.counter, 101);
	CHECK_EQ(drain(few), 2);
}

static void test_translation_only(void)
{
	struct watcher all = watcher_open(O_NONBLOCK);
	struct watcher few = watcher_with(UMMUNOTIFY_FEATURE_TRANSLATION);
	char *p = map(4), *shared;
	uint64_t before;
	pid_t pid;
	int fd;

	CHECK_EQ(watch(all, p, 4 * page, 1), 0);
	CHECK_EQ(watch(few, p, 4 * page, 1), 0);
	pid = fork();
	if (!pid)
		_exit(0);
	wait_child(pid);
	CHECK_EQ(*all.counter, 1);
	CHECK_EQ(*few.counter, 0);
	expect_quiet(few);

	/* All that changes the translation still reports, and mprotect(). */
	fd = memfd_create("translation", 0);
	CHECK_EQ(ftruncate(fd, page), 0);
	shared = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(shared != MAP_FAILED);
	CHECK_EQ(watch(few, shared, page, 2), 0);
	shared[0] = 1;
	p[0] = 2;			/* copies: the child had the page */
	mprotect(p, page, PROT_READ);
	drain(few);
	before = *few.counter;
	madvise(p + page, page, MADV_DONTNEED);
	CHECK_EQ(*few.counter, before + 1);
	mprotect(p, 2 * page, PROT_READ);
	CHECK_EQ(*few.counter, before + 2);
	CHECK_EQ(ftruncate(fd, 0), 0);
	CHECK(*few.counter > before + 2);
	before = *few.counter;
	munmap(p, 4 * page);
	CHECK_EQ(*few.counter, before + 1);
	CHECK_EQ(drain(few), 2);
}

static void test_translation_soft_dirty(void)
{
	struct watcher all = watcher_open(O_NONBLOCK);
	struct watcher few = watcher_with(UMMUNOTIFY_FEATURE_TRANSLATION);
	char *p = map(4);

	CHECK_EQ(watch(all, p, 4 * page, 1), 0);
	CHECK_EQ(watch(few, p, 4 * page, 1), 0);
	clear_soft_dirty();
	CHECK_EQ(*few.counter, 0);
	expect_quiet(few);
	if (!*all.counter)
		skip("no soft-dirty bits");
	CHECK_EQ(*all.counter, 1);
	munmap(p, page);
	CHECK_EQ(*few.counter, 1);
}

/* A file whose pages are write-protected when they are written back. */
static int open_written_back(struct watcher control, char **shared)
{
	static const char * const places[] = { "/tmp", "/var/tmp", ".", "/" };

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		char name[64];
		uint64_t before;
		int fd;

		snprintf(name, sizeof(name), "%s/ummunotify-XXXXXX", places[i]);
		fd = mkstemp(name);
		if (fd < 0)
			continue;
		unlink(name);
		CHECK_EQ(ftruncate(fd, page), 0);
		*shared = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED,
			       fd, 0);
		if (*shared != MAP_FAILED) {
			CHECK_EQ(watch(control, *shared, page, i), 0);
			before = *control.counter;
			**shared = 1;
			CHECK_EQ(msync(*shared, page, MS_SYNC), 0);
			if (*control.counter != before)
				return fd;
			munmap(*shared, page);
		}
		close(fd);
	}
	skip("no file system here write-protects what it writes back");
	return -1;
}

static void test_translation_write_back(void)
{
	struct watcher all = watcher_open(O_NONBLOCK);
	struct watcher few = watcher_with(UMMUNOTIFY_FEATURE_TRANSLATION);
	uint64_t before;
	char *shared;
	int fd = open_written_back(all, &shared);

	CHECK_EQ(watch(few, shared, page, 1), 0);
	before = *all.counter;
	shared[0] = 2;
	CHECK_EQ(msync(shared, page, MS_SYNC), 0);
	CHECK(*all.counter > before);
	CHECK_EQ(*few.counter, 0);
	expect_quiet(few);
	CHECK_EQ(ftruncate(fd, 0), 0);
	CHECK(*few.counter > 0);
}

static int unwatch_all(struct watcher w, const __u64 *cookies, __u32 count)
{
	struct ummunotify_batch batch = {
		.cookies = (uintptr_t)cookies,
		.count = count,
	};

	return ioctl(w.fd, UMMUNOTIFY_UNREGISTER_BATCH, &batch);
}

static void test_unregister_batch(void)
{
	static __u64 cookies[UMMUNOTIFY_BATCH_MAX + 1];
	struct watcher w = watcher_open(O_NONBLOCK);
	struct ummunotify_batch batch = { .reserved = 1 };
	char *p = map(2), *buf = map(2);

	CHECK_ERRNO(unwatch_all(w, cookies, 1), ENOTTY);
	w = watcher_with(UMMUNOTIFY_FEATURE_BATCH);
	CHECK_EQ(unwatch_all(w, cookies, 1), 0);
	for (int i = 0; i <= UMMUNOTIFY_BATCH_MAX; i++) {
		cookies[i] = i * UINT64_C(0x9e3779b97f4a7c15);
		CHECK_EQ(watch(w, p + i % 2 * page, page, cookies[i]), 0);
	}
	CHECK_EQ(unwatch_all(w, NULL, 0), 0);
	CHECK_ERRNO(unwatch_all(w, cookies, UMMUNOTIFY_BATCH_MAX + 1), EINVAL);
	CHECK_ERRNO(unwatch_all(w, NULL, 1), EFAULT);
	CHECK_ERRNO(ioctl(w.fd, UMMUNOTIFY_UNREGISTER_BATCH, NULL), EFAULT);
	CHECK_ERRNO(ioctl(w.fd, UMMUNOTIFY_UNREGISTER_BATCH, &batch), EINVAL);

	/* A bad pointer in the middle: not even the first one goes. */
	CHECK_EQ(munmap(buf + page, page), 0);
	memcpy(buf + page - 64, cookies, 64);
	CHECK_ERRNO(unwatch_all(w, (void *)(buf + page - 64), 9), EFAULT);
	CHECK_ERRNO(watch(w, p, page, cookies[0]), EINVAL);

	/* Pending ones leave their LAST; unknown ones are passed over. */
	madvise(p, page, MADV_DONTNEED);
	CHECK_EQ(unwatch_all(w, cookies, UMMUNOTIFY_BATCH_MAX),
		 UMMUNOTIFY_BATCH_MAX);
	expect_inval(w, cookies[UMMUNOTIFY_BATCH_MAX], true, p, p + page);
	expect_last(w, 1);
	CHECK_EQ(unwatch_all(w, cookies + 1, UMMUNOTIFY_BATCH_MAX), 1);
	munmap(p, 2 * page);
	expect_quiet(w);
}

static int watch_slot(struct watcher w, const void *start, size_t len,
		      uint64_t cookie, __u32 slot)
{
	struct ummunotify_register_ioctl reg = {
		.start = (uintptr_t)start,
		.end = (uintptr_t)start + len,
		.user_cookie = cookie,
		.reserved = slot,
	};

	return ioctl(w.fd, UMMUNOTIFY_REGISTER_REGION, &reg);
}

static void test_generation_mapping(void)
{
	const size_t size = UMMUNOTIFY_SLOTS * sizeof(__u32);
	const int rw = PROT_READ | PROT_WRITE;
	struct watcher w = watcher_with(ALL_FEATURES &
					~UMMUNOTIFY_FEATURE_GENERATION);
	volatile __u32 *words;

	CHECK_ERRNO((long)mmap(NULL, page, PROT_READ, MAP_SHARED, w.fd, page),
		    EINVAL);
	w = watcher_with(UMMUNOTIFY_FEATURE_GENERATION);
	CHECK_ERRNO((long)mmap(NULL, page, rw, MAP_SHARED, w.fd, page), EACCES);
	CHECK_ERRNO((long)mmap(NULL, page, rw, MAP_PRIVATE, w.fd, page),
		    EACCES);
	CHECK_ERRNO((long)mmap(NULL, size + page, PROT_READ, MAP_SHARED, w.fd,
			       page), EINVAL);
	CHECK_ERRNO((long)mmap(NULL, page, PROT_READ, MAP_SHARED, w.fd,
			       2 * page), EINVAL);
	CHECK_ERRNO((long)mmap(NULL, size, PROT_READ, MAP_SHARED, w.fd, 0),
		    EINVAL);
	words = mmap(NULL, size, PROT_READ, MAP_SHARED, w.fd, page);
	CHECK(words != MAP_FAILED);
	CHECK_ERRNO(mprotect((void *)words, page, rw), EACCES);
	CHECK_EQ(words[0], 0);
	CHECK_EQ(words[UMMUNOTIFY_SLOTS - 1], 0);
	CHECK_EQ(*w.counter, 0);
}

static void test_generations(void)
{
	const size_t size = UMMUNOTIFY_SLOTS * sizeof(__u32);
	const __u32 end = UMMUNOTIFY_SLOTS - 1;
	struct watcher w = watcher_with(UMMUNOTIFY_FEATURE_GENERATION);
	volatile __u32 *words;
	char *p = map(4);

	words = mmap(NULL, size, PROT_READ, MAP_SHARED, w.fd, page);
	CHECK(words != MAP_FAILED);
	CHECK_ERRNO(watch_slot(w, p, page, 1, UMMUNOTIFY_SLOTS), EINVAL);
	CHECK_ERRNO(watch_slot(w, p, page, 1, UMMUNOTIFY_NO_SLOT - 1), EINVAL);
	CHECK_EQ(watch_slot(w, p, page, 1, 5), 0);
	CHECK_EQ(watch_slot(w, p + page, page, 2, end), 0);
	CHECK_EQ(watch_slot(w, p + 2 * page, page, 3, UMMUNOTIFY_NO_SLOT), 0);

	/* Each hit counts, only for the range that it hits. */
	madvise(p, page, MADV_DONTNEED);
	CHECK_EQ(words[5], 1);
	CHECK_EQ(words[end], 0);
	madvise(p, page, MADV_DONTNEED);
	CHECK_EQ(words[5], 2);
	madvise(p, 3 * page, MADV_DONTNEED);
	CHECK_EQ(words[5], 3);
	CHECK_EQ(words[end], 1);
	CHECK_EQ(*w.counter, 3);
	CHECK_EQ(drain(w), 3);

	/* A slot that is used again goes on where it was. */
	CHECK_EQ(unwatch(w, 1), 0);
	madvise(p, page, MADV_DONTNEED);
	CHECK_EQ(words[5], 3);
	CHECK_EQ(watch_slot(w, p, page, 4, 5), 0);
	CHECK_EQ(words[5], 3);
	munmap(p, 4 * page);
	CHECK_EQ(words[5], 4);
	CHECK_EQ(words[end], 2);

	/* The words outlive a lost mapping of them. */
	madvise((void *)words, size, MADV_DONTNEED);
	CHECK_EQ(words[5], 4);
}

static volatile __u32 *race_words;

/* Whoever sees the counter move finds the word moved. */
static void *check_generation(void *arg)
{
	struct watcher *w = arg;
	uint64_t counter;
	__u32 word;

	while (!atomic_load(&stop)) {
		counter = *w->counter;
		atomic_thread_fence(memory_order_acquire);
		word = race_words[0];
		CHECK((__u32)(word - (__u32)counter) < UINT32_MAX / 2);
	}
	return NULL;
}

static void test_generation_before_counter(void)
{
	struct watcher w = watcher_with(UMMUNOTIFY_FEATURE_GENERATION);
	struct zapper z = { .start = map(1), .len = page };
	pthread_t threads[2];

	race_words = mmap(NULL, page, PROT_READ, MAP_SHARED, w.fd, page);
	CHECK(race_words != MAP_FAILED);
	CHECK_EQ(watch_slot(w, z.start, z.len, 1, 0), 0);
	start_thread(&threads[0], zap_on_and_on, &z);
	start_thread(&threads[1], check_generation, &w);
	sleep_ms(2000);
	atomic_store(&stop, 1);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	CHECK_EQ(race_words[0], (__u32)*w.counter);
	CHECK(*w.counter > 100);
}

static const struct tap_test tests[] = {
	TEST(abi),
	TEST(open_modes),
	TEST(unprivileged_user),
	TEST(not_seekable_no_other_ioctl),
	TEST(mmap_rules),
	TEST(mapping_outlives_descriptor),
	TEST(exchange_features),
	TEST(register_and_unregister),
	TEST(cookies_are_per_file),
	TEST(range_limit),
	TEST(compat_ioctl),
	TEST(one_munmap_one_event),
	TEST(hint_is_clamped),
	TEST(merged_hits_have_no_hint),
	TEST(empty_and_reversed_ranges),
	TEST(whole_address_space),
	TEST(reported_once_then_watched_again),
	TEST(one_counter_step_for_many_ranges),
	TEST(short_reads),
	TEST(last_carries_the_newest_counter),
	TEST(unregister_of_pending_leaves_last),
	TEST(efault_loses_nothing),
	TEST(read_into_watched_memory),
	TEST(putback),
	TEST(hit_while_copied),
	TEST(unregister_waits_for_copy),
	TEST(causes),
	TEST(blocking_read),
	TEST(blocked_read_blocks_nobody),
	TEST(read_is_interruptible),
	TEST(poll_select_epoll),
	TEST(sigio),
	TEST(signals_do_not_leak),
	TEST(forked_child_gets_eio),
	TEST(threads_and_vfork_share),
	TEST(passed_on_and_outlived),
	TEST(close_with_ranges),
	TEST(exit_with_ranges),
	TEST(killed_while_reading),
	TEST(moved_before),
	TEST(drained_early_is_reported_again),
	TEST(drained_late_is_reported_once),
	TEST(register_waits_for_open_invalidation),
	TEST(register_elsewhere_does_not_wait),
	TEST(register_is_not_starved),
	TEST(spilled_is_waited_for),
	TEST(crowd),
	TEST(stress),
	TEST(unregistered_is_not_reported),
	TEST(nonblocking_read_never_sleeps),
	TEST(close_under_fire),
	TEST(eagain_means_drained),
	TEST(cost_does_not_grow_with_ranges),
	TEST(memory_is_charged_to_its_user),
	TEST(event_kind),
	TEST(translation_only),
	TEST(translation_soft_dirty),
	TEST(translation_write_back),
	TEST(translation_mprotect),
	TEST(unregister_batch),
	TEST(generation_mapping),
	TEST(generations),
	TEST(generation_before_counter),
};

int main(int argc, char **argv)
{
	return run_tests(tests, sizeof(tests) / sizeof(*tests), argc, argv);
}
