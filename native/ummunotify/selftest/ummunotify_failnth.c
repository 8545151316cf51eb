// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation and user copy of every call fails, one at a time: the first,
 * the second and so on, until the call has no more of them. Each time the call
 * says so, has done nothing, and succeeds when it is made again. Needs root and
 * a kernel with fault injection. Prints TAP.
 *
 * ummunotify_failnth [-l] [name...]
 */
#define _GNU_SOURCE
#include "cgroup.h"
#include "fail_nth.h"
#include "tap.h"

#include <linux/ummunotify.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define DEVICE		"/dev/ummunotify"
#define RANGES_SLAB	"/sys/kernel/slab/ummunotify_range/"
#define ROUNDS		32	/* so that a page lost in each is noticed */
#define MOST_PLACES	200	/* far more than any call has */
#define BATCH		100

static int fd;
static volatile uint64_t *counter;
static volatile __u32 *words;
static char *memory;

/* What fails is made on a file of its own each time. */
struct call {
	void (*prepare)(void);
	/* -1 and errno where it fails. */
	long (*make)(void);
	/* After it has failed, and after it has not. */
	void (*undone)(void);
	void (*done)(void);
	/* It allocates memory by itself, and has no other way. */
	bool allocates;
};

static void no_file(void)
{
	fd = -1;
	counter = NULL;
	words = NULL;
}

static void file_without_features(void)
{
	no_file();
	fd = open(DEVICE, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	CHECK(fd >= 0);
	counter = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(counter != MAP_FAILED);
	CHECK(!*counter);
}

static void file_with_features(void)
{
	__u32 word = UMMUNOTIFY_FEATURE_TAG | UMMUNOTIFY_FEATURE_GENERATION |
		     UMMUNOTIFY_FEATURE_BATCH;

	file_without_features();
	CHECK(!ioctl(fd, UMMUNOTIFY_EXCHANGE_FEATURES, &word));
}

static void file_end(void)
{
	if (words)
		CHECK(!munmap((void *)words, page));
	if (counter)
		CHECK(!munmap((void *)counter, page));
	if (fd >= 0)
		CHECK(!close(fd));
}

static long watch(uint64_t cookie, __u32 slot)
{
	struct ummunotify_register_ioctl reg = {
		.start = (uintptr_t)memory,
		.end = (uintptr_t)memory + page,
		.user_cookie = cookie,
		.reserved = slot,
	};

	return ioctl(fd, UMMUNOTIFY_REGISTER_REGION, &reg);
}

static long unwatch(uint64_t cookie)
{
	__u64 arg = cookie;

	return ioctl(fd, UMMUNOTIFY_UNREGISTER_REGION, &arg);
}

static void check_quiet(void)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	CHECK_EQ(*counter, 0);
	CHECK_EQ(poll(&pfd, 1, 0), 0);
}

/* It is reported, once. */
static void check_watched(uint64_t cookie)
{
	struct ummunotify_event ev[3];

	CHECK(!madvise(memory, page, MADV_DONTNEED));
	CHECK_EQ(*counter, 1);
	CHECK_EQ(read(fd, ev, sizeof(ev)), 2 * sizeof(*ev));
	CHECK_EQ(ev[0].type, UMMUNOTIFY_EVENT_TYPE_INVAL);
	CHECK_EQ(ev[0].user_cookie_counter, cookie);
	CHECK_EQ(ev[1].type, UMMUNOTIFY_EVENT_TYPE_LAST);
	CHECK_EQ(ev[1].user_cookie_counter, 1);
}

/* Files of the driver that are open, by the references to it. */
static long open_files(void)
{
	return read_number("/sys/module/ummunotify/refcnt");
}

static long ranges(void)
{
	/* What a processor has at hand counts, unless it is taken away. */
	write_string(RANGES_SLAB "shrink", "1");
	return read_number(RANGES_SLAB "objects");
}

/* Mappings of the device. */
static int mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	int n = 0;

	CHECK(f);
	while (fgets(line, sizeof(line), f))
		n += !!strstr(line, DEVICE);
	fclose(f);
	return n;
}

/* Returns how many places of the call failed. */
static int walk(const struct call *call)
{
	int failures = 0, refusals = 0;

	for (int n = 1; n <= MOST_PLACES; n++) {
		long ret;
		int err, left;

		call->prepare();
		CHECK(fail_nth_write(n));
		errno = 0;
		ret = call->make();
		err = errno;
		left = fail_nth_read();
		CHECK(fail_nth_write(0));
		if (ret < 0) {
			/* What the header names, and only on failure. */
			CHECK_EQ(left, 0);
			if (err != EFAULT)
				CHECK_EQ(err, ENOMEM);
			refusals += err == ENOMEM;
			call->undone();
			CHECK(call->make() >= 0);
		}
		call->done();
		file_end();
		if (left) {
			CHECK(ret >= 0);
			CHECK(failures > 0);
			CHECK(refusals > 0 || !call->allocates);
			return failures;
		}
		/* Also one that the call could do without. */
		failures++;
	}
	fail(__FILE__, __LINE__, "no end after %d places", MOST_PLACES);
	return 0;
}

/* What is freed after a grace period is given its time. */
static bool settles(long kernel, long objects)
{
	for (int i = 0; i < 50; i++) {
		if (cgroup_value("memory.stat", "kernel") < kernel &&
		    ranges() <= objects)
			return true;
		usleep(100000);
	}
	return false;
}

static void walk_in_cgroup(const struct call *call)
{
	long kernel, objects, files;
	int failures;

	CHECK(cgroup_enter());
	memory = mmap(NULL, page, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(memory != MAP_FAILED);
	*memory = 1;
	files = open_files();
	/* The first one also fills what is filled once. */
	failures = walk(call);
	objects = ranges();
	kernel = cgroup_value("memory.stat", "kernel");
	CHECK(kernel > 0);
	/* Not always as many: the kernel keeps some of what it has freed. */
	for (int i = 0; i < ROUNDS; i++)
		failures += walk(call);
	printf("# %d failures\n", failures);
	CHECK(settles(kernel + ROUNDS * page, objects));
	CHECK_EQ(open_files(), files);
	CHECK_EQ(mappings(), 0);
	fflush(stdout);
	_exit(0);
}

static void walk_all(const struct call *call)
{
	int status;
	pid_t pid;

	if (!faults_start())
		skip("no fault injection");
	cgroup_make();
	pid = fork();
	CHECK(pid >= 0);
	if (!pid)
		walk_in_cgroup(call);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	cgroup_remove();
	CHECK_EQ(status, 0);
}

/* open() */

static long files_before;

static void prepare_open(void)
{
	no_file();
	files_before = open_files();
}

static long make_open(void)
{
	fd = open(DEVICE, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd;
}

static void undone_open(void)
{
	CHECK_EQ(open_files(), files_before);
}

static void done_open(void)
{
	CHECK_EQ(watch(1, 0), 0);
	CHECK_EQ(unwatch(1), 0);
}

static void test_open(void)
{
	walk_all(&(struct call){
		prepare_open, make_open, undone_open, done_open, true,
	});
}

/* UMMUNOTIFY_EXCHANGE_FEATURES */

static __u32 feature_word;

static void prepare_exchange(void)
{
	file_without_features();
	feature_word = UMMUNOTIFY_FEATURE_TAG | UMMUNOTIFY_FEATURE_GENERATION;
}

static long make_exchange(void)
{
	return ioctl(fd, UMMUNOTIFY_EXCHANGE_FEATURES, &feature_word);
}

/* Nothing is agreed on, and it is not too late either. */
static void undone_exchange(void)
{
	CHECK_EQ(feature_word, UMMUNOTIFY_FEATURE_TAG |
			       UMMUNOTIFY_FEATURE_GENERATION);
	CHECK(mmap(NULL, page, PROT_READ, MAP_SHARED, fd, page) == MAP_FAILED);
	CHECK_EQ(errno, EINVAL);
}

static void done_exchange(void)
{
	CHECK_EQ(feature_word, UMMUNOTIFY_FEATURE_TAG |
			       UMMUNOTIFY_FEATURE_GENERATION);
	words = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, page);
	CHECK(words != MAP_FAILED);
}

/* Its array may come from two places, one of which is enough. */
static void test_exchange_features(void)
{
	walk_all(&(struct call){
		prepare_exchange, make_exchange, undone_exchange,
		done_exchange, false,
	});
}

/* UMMUNOTIFY_REGISTER_REGION */

static long make_register(void)
{
	return watch(1, UMMUNOTIFY_NO_SLOT);
}

static void undone_register(void)
{
	check_quiet();
	CHECK_ERRNO(unwatch(1), EINVAL);
}

static void done_register(void)
{
	check_quiet();
	check_watched(1);
	CHECK_EQ(unwatch(1), 0);
}

static void test_first_register(void)
{
	walk_all(&(struct call){
		file_with_features, make_register, undone_register,
		done_register, true,
	});
}

static void prepare_another_register(void)
{
	file_with_features();
	CHECK_EQ(watch(0, UMMUNOTIFY_NO_SLOT), 0);
	CHECK_EQ(unwatch(0), 0);
}

static void test_another_register(void)
{
	walk_all(&(struct call){
		prepare_another_register, make_register, undone_register,
		done_register, true,
	});
}

static long make_slot_register(void)
{
	return watch(1, 7);
}

static void done_slot_register(void)
{
	done_register();
	words = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, page);
	CHECK(words != MAP_FAILED);
	CHECK_EQ(words[7], 1);
}

static void test_register_with_slot(void)
{
	walk_all(&(struct call){
		prepare_another_register, make_slot_register, undone_register,
		done_slot_register, true,
	});
}

/* UMMUNOTIFY_UNREGISTER_REGION */

static void prepare_unregister(void)
{
	file_with_features();
	for (int i = 0; i < BATCH; i++)
		CHECK_EQ(watch(i, UMMUNOTIFY_NO_SLOT), 0);
	words = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, page);
	CHECK(words != MAP_FAILED);
}

/* The cookie, 0, is in a page of words that the kernel first has to get. */
static long make_unregister(void)
{
	return ioctl(fd, UMMUNOTIFY_UNREGISTER_REGION, words);
}

static void undone_unregister(void)
{
	check_quiet();
	for (int i = 0; i < BATCH; i++)
		CHECK_ERRNO(watch(i, UMMUNOTIFY_NO_SLOT), EINVAL);
}

static void done_unregister(void)
{
	check_quiet();
	CHECK_ERRNO(unwatch(0), EINVAL);
	for (int i = 1; i < BATCH; i++)
		CHECK_EQ(unwatch(i), 0);
}

static void test_unregister_by_word(void)
{
	walk_all(&(struct call){
		prepare_unregister, make_unregister, undone_unregister,
		done_unregister, false,
	});
}

static long make_batch(void)
{
	__u64 cookies[BATCH];
	struct ummunotify_batch batch = {
		.cookies = (uintptr_t)cookies,
		.count = BATCH,
	};

	for (int i = 0; i < BATCH; i++)
		cookies[i] = i;
	return ioctl(fd, UMMUNOTIFY_UNREGISTER_BATCH, &batch);
}

static void done_batch(void)
{
	check_quiet();
	CHECK_EQ(make_batch(), 0);
	for (int i = 0; i < BATCH; i++)
		CHECK_ERRNO(unwatch(i), EINVAL);
}

static void test_unregister_batch(void)
{
	walk_all(&(struct call){
		prepare_unregister, make_batch, undone_unregister, done_batch,
		true,
	});
}

/* read() */

static struct ummunotify_event events[3];

static void prepare_read(void)
{
	file_with_features();
	CHECK_EQ(watch(1, UMMUNOTIFY_NO_SLOT), 0);
	CHECK(!madvise(memory, page, MADV_DONTNEED));
}

static long make_read(void)
{
	return read(fd, events, sizeof(events));
}

static void undone_read(void)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	CHECK_EQ(*counter, 1);
	CHECK_EQ(poll(&pfd, 1, 0), 1);
}

static void done_read(void)
{
	CHECK_EQ(events[0].type, UMMUNOTIFY_EVENT_TYPE_INVAL);
	CHECK_EQ(events[0].flags, UMMUNOTIFY_EVENT_FLAG_HINT);
	CHECK_EQ(events[0].user_cookie_counter, 1);
	CHECK_EQ(events[1].type, UMMUNOTIFY_EVENT_TYPE_LAST);
	CHECK_EQ(events[1].user_cookie_counter, 1);
	CHECK_ERRNO(make_read(), EAGAIN);
	memset(events, 0, sizeof(events));
}

static void test_read(void)
{
	walk_all(&(struct call){
		prepare_read, make_read, undone_read, done_read, false,
	});
}

/* mmap() */

static int mappings_before;

static void prepare_mmap(void)
{
	file_with_features();
	mappings_before = mappings();
}

static long make_mmap(void)
{
	words = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, page);
	if (words != MAP_FAILED)
		return 0;
	words = NULL;
	return -1;
}

static void undone_mmap(void)
{
	CHECK_EQ(mappings(), mappings_before);
}

static void done_mmap(void)
{
	CHECK_EQ(words[3], 0);
	CHECK_EQ(watch(1, 3), 0);
	CHECK(!madvise(memory, page, MADV_DONTNEED));
	CHECK_EQ(words[3], 1);
}

static void test_mmap(void)
{
	walk_all(&(struct call){
		prepare_mmap, make_mmap, undone_mmap, done_mmap, true,
	});
}

/* A fault of a mapping: what cannot be had is tried again. */

static void prepare_fault(void)
{
	file_with_features();
	CHECK_EQ(make_mmap(), 0);
}

static long make_fault(void)
{
	return words[3];
}

static void undone_fault(void)
{
	fail(__FILE__, __LINE__, "a load cannot fail");
}

static void test_fault(void)
{
	walk_all(&(struct call){
		prepare_fault, make_fault, undone_fault, done_mmap, false,
	});
}

/* fcntl(F_SETFL, O_ASYNC) */

static long make_async(void)
{
	return fcntl(fd, F_SETFL, O_NONBLOCK | O_ASYNC);
}

static void undone_async(void)
{
	CHECK_EQ(fcntl(fd, F_GETFL) & O_ASYNC, 0);
}

static void done_async(void)
{
	sigset_t set;

	CHECK_EQ(fcntl(fd, F_GETFL) & O_ASYNC, O_ASYNC);
	CHECK_EQ(fcntl(fd, F_SETOWN, getpid()), 0);
	CHECK_EQ(watch(1, UMMUNOTIFY_NO_SLOT), 0);
	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	CHECK(!sigprocmask(SIG_BLOCK, &set, NULL));
	CHECK(!madvise(memory, page, MADV_DONTNEED));
	CHECK_EQ(sigtimedwait(&set, NULL, &(struct timespec){ 0 }), SIGIO);
}

static void test_async(void)
{
	walk_all(&(struct call){
		file_with_features, make_async, undone_async, done_async, true,
	});
}

static const struct tap_test tests[] = {
	TEST(open),
	TEST(exchange_features),
	TEST(first_register),
	TEST(another_register),
	TEST(register_with_slot),
	TEST(unregister_by_word),
	TEST(unregister_batch),
	TEST(read),
	TEST(mmap),
	TEST(fault),
	TEST(async),
};

int main(int argc, char **argv)
{
	return run_tests(tests, sizeof(tests) / sizeof(*tests), argc, argv);
}
