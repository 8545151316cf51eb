// SPDX-License-Identifier: GPL-2.0
/*
 * Two users who do not trust each other: what one can learn of the other's
 * memory, take away from it or use up. Needs root, to become both of them.
 * Prints TAP.
 */
#define _GNU_SOURCE
#include "cgroup.h"
#include "pass_fd.h"
#include "tap.h"

#include <linux/ummunotify.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEVICE		"/dev/ummunotify"
#define ALICE		1001
#define BOB		1002
#define FIXED		((char *)0x200000000000 - (16 << 20))

#ifndef __NR_pidfd_open
#define __NR_pidfd_open		434
#endif
#ifndef __NR_pidfd_getfd
#define __NR_pidfd_getfd	438
#endif

static int device_open(void)
{
	return open(DEVICE, O_RDONLY | O_NONBLOCK);
}

static volatile uint64_t *counter_of(int fd)
{
	void *p = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static int watch(int fd, const void *start, size_t len, uint64_t cookie)
{
	struct ummunotify_register_ioctl reg = {
		.start = (uintptr_t)start,
		.end = (uintptr_t)start + len,
		.user_cookie = cookie,
	};

	return ioctl(fd, UMMUNOTIFY_REGISTER_REGION, &reg);
}

static char *map_at(void *at)
{
	char *p = mmap(at, page, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS |
		       (at ? MAP_FIXED_NOREPLACE : 0), -1, 0);

	CHECK(p != MAP_FAILED);
	*p = 1;
	return p;
}

/* A user's process, which does what it is for, says so, and waits. */

struct user {
	pid_t pid;
	int sock;
};

static void say(int sock)
{
	CHECK(write(sock, "", 1) == 1);
}

static void hear(int sock)
{
	char byte;

	CHECK(read(sock, &byte, 1) == 1);
}

static struct user user_start(uid_t uid, const char *cgroup,
			      void (*fn)(int sock))
{
	struct user u;
	int socks[2];

	if (getuid())
		skip("needs root");
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, socks));
	u.pid = fork();
	CHECK(u.pid >= 0);
	if (!u.pid) {
		close(socks[0]);
		alarm(TIME_LIMIT);
		if (cgroup)
			CHECK(write_string(cgroup, "0"));
		CHECK(!setgroups(0, NULL));
		CHECK(!setresgid(uid, uid, uid));
		CHECK(!setresuid(uid, uid, uid));
		fn(socks[1]);
		fflush(stdout);
		_exit(0);
	}
	close(socks[1]);
	u.sock = socks[0];
	return u;
}

static int user_end(struct user u)
{
	int status;

	close(u.sock);
	CHECK(waitpid(u.pid, &status, 0) == u.pid);
	return status;
}

/* The same address in both processes: each hears of its own page only. */

static void watches_fixed(int sock)
{
	volatile uint64_t *counter;
	struct ummunotify_event ev;
	int fd = device_open();

	CHECK(fd >= 0);
	counter = counter_of(fd);
	map_at(FIXED);
	CHECK(!watch(fd, FIXED, page, 1));
	say(sock);
	/* The other one changes its page. */
	hear(sock);
	CHECK(!*counter);
	CHECK_ERRNO(read(fd, &ev, sizeof(ev)), EAGAIN);
	CHECK(!munmap(FIXED, page));
	CHECK(*counter == 1);
	CHECK(read(fd, &ev, sizeof(ev)) == sizeof(ev));
	CHECK(ev.user_cookie_counter == 1);
}

static void changes_fixed(int sock)
{
	int fd = device_open();

	CHECK(fd >= 0);
	map_at(FIXED);
	/* What it watches are its own addresses. */
	CHECK(!watch(fd, 0, SIZE_MAX / page * page, 1));
	CHECK(!madvise(FIXED, page, MADV_DONTNEED));
	CHECK(!munmap(FIXED, page));
	CHECK(*counter_of(fd) >= 2);
	say(sock);
}

static void test_own_memory_only(void)
{
	struct user alice = user_start(ALICE, NULL, watches_fixed);
	struct user bob;

	hear(alice.sock);
	bob = user_start(BOB, NULL, changes_fixed);
	hear(bob.sock);
	say(alice.sock);
	CHECK(!user_end(alice));
	CHECK(!user_end(bob));
}

/* What is pending for one cannot be taken or seen by the other. */

static int shared_fd;

static void has_events(int sock)
{
	struct ummunotify_event ev;
	char number[16] = "";
	char *p = map_at(NULL);
	int fd = device_open();

	CHECK(fd >= 0);
	CHECK(!watch(fd, p, page, 7));
	CHECK(!munmap(p, page));
	snprintf(number, sizeof(number), "%d", fd);
	CHECK(write(sock, number, sizeof(number)) == sizeof(number));
	hear(sock);
	/* Still all there. */
	CHECK(read(fd, &ev, sizeof(ev)) == sizeof(ev));
	CHECK(ev.type == UMMUNOTIFY_EVENT_TYPE_INVAL);
	CHECK(ev.user_cookie_counter == 7);
}

static pid_t victim;

static void reaches_for_events(int sock)
{
	char path[64];
	int pidfd;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", victim, shared_fd);
	CHECK_ERRNO(open(path, O_RDONLY), EACCES);
	snprintf(path, sizeof(path), "/proc/%d/maps", victim);
	CHECK_ERRNO(open(path, O_RDONLY), EACCES);
	pidfd = syscall(__NR_pidfd_open, victim, 0);
	CHECK(pidfd >= 0);
	CHECK_ERRNO(syscall(__NR_pidfd_getfd, pidfd, shared_fd, 0), EPERM);
	say(sock);
}

static void test_events_cannot_be_fetched(void)
{
	struct user alice = user_start(ALICE, NULL, has_events);
	struct user bob;
	char number[16];

	CHECK(read(alice.sock, number, sizeof(number)) == sizeof(number));
	shared_fd = atoi(number);
	victim = alice.pid;
	bob = user_start(BOB, NULL, reaches_for_events);
	hear(bob.sock);
	say(alice.sock);
	CHECK(!user_end(bob));
	CHECK(!user_end(alice));
}

/*
 * A file that was handed over, or inherited, tells how often the giver's
 * ranges were hit, and no more. Nothing can be done with it.
 */
static void check_powerless(int fd)
{
	struct ummunotify_event ev;
	__u64 cookie = 7;
	__u32 word = UMMUNOTIFY_FEATURE_TAG;

	CHECK_ERRNO(read(fd, &ev, sizeof(ev)), EIO);
	CHECK_ERRNO(watch(fd, &ev, sizeof(ev), 8), EIO);
	CHECK_ERRNO(ioctl(fd, UMMUNOTIFY_UNREGISTER_REGION, &cookie), EIO);
	CHECK_ERRNO(ioctl(fd, UMMUNOTIFY_EXCHANGE_FEATURES, &word), EIO);
	CHECK(*counter_of(fd) == 1);
	CHECK(mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) ==
	      MAP_FAILED);
	/* Its own changes are not the giver's. */
	munmap(map_at(NULL), page);
	CHECK(*counter_of(fd) == 1);
}

static void gives_away(int sock)
{
	struct ummunotify_event ev;
	char *p = map_at(NULL);
	int fd = device_open();

	CHECK(fd >= 0);
	CHECK(!watch(fd, p, page, 7));
	CHECK(!munmap(p, page));
	send_fd(sock, fd);
	hear(sock);
	CHECK(read(fd, &ev, sizeof(ev)) == sizeof(ev));
	CHECK(ev.user_cookie_counter == 7);
}

static void receives(int sock)
{
	check_powerless(receive_fd(sock));
	say(sock);
}

static void test_passed_descriptor_is_powerless(void)
{
	struct user alice = user_start(ALICE, NULL, gives_away);
	struct user bob = user_start(BOB, NULL, receives);
	int fd = receive_fd(alice.sock);

	send_fd(bob.sock, fd);
	close(fd);
	hear(bob.sock);
	say(alice.sock);
	CHECK(!user_end(bob));
	CHECK(!user_end(alice));
}

static void inherits(int sock)
{
	check_powerless(shared_fd);
	say(sock);
}

static void test_inherited_descriptor_is_powerless(void)
{
	struct ummunotify_event ev;
	char *p = map_at(NULL);
	struct user bob;

	shared_fd = device_open();
	CHECK(shared_fd >= 0);
	CHECK(!watch(shared_fd, p, page, 7));
	CHECK(!munmap(p, page));
	bob = user_start(BOB, NULL, inherits);
	hear(bob.sock);
	CHECK(!user_end(bob));
	CHECK(read(shared_fd, &ev, sizeof(ev)) == sizeof(ev));
	CHECK(ev.user_cookie_counter == 7);
}

/* As many files, with a range each, as the user may have. */

static void opens_all_it_can(int sock)
{
	struct rlimit limit;
	char *p = map_at(NULL);
	int fd, files = 0;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
	CHECK(!setrlimit(RLIMIT_NOFILE, &limit));
	while ((fd = device_open()) >= 0) {
		CHECK(!watch(fd, p, page, 1));
		files++;
	}
	CHECK(errno == EMFILE);
	CHECK(files > 1000);
	say(sock);
	hear(sock);
}

static void opens_one(int sock)
{
	char *p = map_at(NULL);
	int fd = device_open();

	CHECK(fd >= 0);
	CHECK(!watch(fd, p, page, 1));
	CHECK(!munmap(p, page));
	CHECK(*counter_of(fd) == 1);
	say(sock);
}

static void test_others_can_open(void)
{
	struct user alice = user_start(ALICE, NULL, opens_all_it_can);
	struct user bob;

	hear(alice.sock);
	bob = user_start(BOB, NULL, opens_one);
	hear(bob.sock);
	say(alice.sock);
	CHECK(!user_end(bob));
	CHECK(!user_end(alice));
}

/*
 * Kernel memory without end: it comes to the end of its control group's. Each
 * kind by itself, as one that is not charged would not be missed among others.
 */

#define BOUND	(16L << 20)

static void (*take_kind)(void);

/* Bytes of the driver's that it has got, at least; the parent sees them. */
static volatile long *obtained;

/* False at the end of memory, or far behind where it should be. */
static bool got(bool done, long bytes)
{
	if (!done) {
		CHECK_EQ(errno, ENOMEM);
		return false;
	}
	*obtained += bytes;
	return *obtained < 4 * BOUND;
}

static void take_ranges(void)
{
	char *p = map_at(NULL);
	uint64_t cookie = 0;
	int fd = device_open();

	CHECK(fd >= 0);
	/* Its size, as the README has it. */
	while (got(!watch(fd, p, page, cookie), 128))
		cookie++;
}

static int open_with_words(void)
{
	__u32 word = UMMUNOTIFY_FEATURE_TAG | UMMUNOTIFY_FEATURE_GENERATION;
	int fd = device_open();

	if (fd >= 0 && ioctl(fd, UMMUNOTIFY_EXCHANGE_FEATURES, &word)) {
		close(fd);
		return -1;
	}
	return fd;
}

static size_t word_pages(void)
{
	return UMMUNOTIFY_SLOTS * sizeof(__u32) / page;
}

/*
 * The queue of events and the counter take a page each, the context more than
 * a quarter of one, as it holds a pointer for each event, and so half a one.
 * 64 open invalidations have their places in a page, and each page of words a
 * pointer.
 */
static void take_files(void)
{
	long size = 2 * page + page / 2 + 4096 + word_pages() * sizeof(void *);
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	CHECK(!setrlimit(RLIMIT_NOFILE, &limit));
	for (;;) {
		int fd = open_with_words();

		/* Without an end but that of files. */
		if (fd < 0 && errno == EMFILE)
			break;
		if (!got(fd >= 0, size))
			break;
	}
}

static bool choose_slots(int fd)
{
	struct ummunotify_register_ioctl reg = { 0 };

	for (size_t i = 0; i < word_pages(); i++) {
		reg.user_cookie = i;
		reg.reserved = i * page / sizeof(__u32);
		if (!got(!ioctl(fd, UMMUNOTIFY_REGISTER_REGION, &reg), page))
			return false;
	}
	return true;
}

static void take_words(void)
{
	int fd;

	do {
		fd = open_with_words();
	} while (got(fd >= 0, 0) && choose_slots(fd));
}

/* A page that cannot be had ends the process, which is not told otherwise. */
static void take_mapped_words(void)
{
	size_t size = UMMUNOTIFY_SLOTS * sizeof(__u32);
	volatile char *words;
	int fd;

	do {
		fd = open_with_words();
		if (!got(fd >= 0, 0))
			return;
		words = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, page);
		CHECK(words != MAP_FAILED);
		for (size_t i = 0; i < size; i += page) {
			CHECK(!words[i]);
			got(true, page);
		}
	} while (*obtained < 4 * BOUND);
}

static void set_bound(void)
{
	char bound[32];

	snprintf(bound, sizeof(bound), "%ld", BOUND);
	CHECK(write_string(CGROUP "/memory.max", bound));
	write_string(CGROUP "/memory.swap.max", "0");
}

static void takes_all_it_can(int sock)
{
	say(sock);
	hear(sock);
	take_kind();
}

static void check_bounded(void (*take)(void))
{
	struct user alice, bob;
	long current;
	int status;

	obtained = mmap(NULL, page, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(obtained != MAP_FAILED);
	take_kind = take;
	cgroup_make();
	set_bound();

	alice = user_start(ALICE, CGROUP "/cgroup.procs", takes_all_it_can);
	hear(alice.sock);
	say(alice.sock);
	while (!waitpid(alice.pid, &status, WNOHANG)) {
		/* Meanwhile the other one works. */
		bob = user_start(BOB, NULL, opens_one);
		hear(bob.sock);
		CHECK(!user_end(bob));
		usleep(100000);
	}
	close(alice.sock);
	printf("# %ld of %ld bytes, %s\n", *obtained, BOUND,
	       WIFSIGNALED(status) ? "killed" : "refused");
	CHECK(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : !status);
	CHECK(!WIFSIGNALED(status) || cgroup_value("memory.events", "oom_kill"));
	CHECK(*obtained > BOUND / 4);
	CHECK(*obtained <= BOUND);
	/* And all of it is given back. */
	for (int i = 0; i < 600; i++) {
		current = read_number(CGROUP "/memory.current");
		if (current < BOUND / 8)
			break;
		usleep(100000);
	}
	printf("# %ld bytes are left\n", current);
	CHECK(current < BOUND / 8);
	cgroup_remove();
}

static void test_ranges_are_bounded(void)
{
	check_bounded(take_ranges);
}

static void test_files_are_bounded(void)
{
	check_bounded(take_files);
}

static void test_words_are_bounded(void)
{
	check_bounded(take_words);
}

static void test_mapped_words_are_bounded(void)
{
	check_bounded(take_mapped_words);
}

/*
 * At the bound, and not to be killed: what is refused has done nothing, and is
 * granted once there is room.
 */
static int fill_and_empty(int most)
{
	struct ummunotify_register_ioctl slot = { .user_cookie = 1 };
	int fd = device_open(), words = open_with_words(), ranges = 0;
	volatile uint64_t *counter = counter_of(fd);
	struct ummunotify_event ev;
	char *p = map_at(NULL);
	__u64 cookie;

	CHECK(fd >= 0 && words >= 0);
	CHECK(!*counter);
	while (ranges < most && !watch(fd, p, page, ranges))
		ranges++;
	if (ranges < most) {
		CHECK_EQ(errno, ENOMEM);
		cookie = ranges;
		CHECK_ERRNO(ioctl(fd, UMMUNOTIFY_UNREGISTER_REGION, &cookie),
			    EINVAL);
		CHECK_ERRNO(ioctl(words, UMMUNOTIFY_REGISTER_REGION, &slot),
			    ENOMEM);
		CHECK_ERRNO(ioctl(words, UMMUNOTIFY_UNREGISTER_REGION,
				  &slot.user_cookie), EINVAL);
		CHECK_ERRNO(device_open(), ENOMEM);
	}
	CHECK_EQ(*counter, 0);
	CHECK_ERRNO(read(fd, &ev, sizeof(ev)), EAGAIN);
	/* All of them are there, and go. */
	for (int i = 0; i < ranges; i++) {
		cookie = i;
		CHECK(!ioctl(fd, UMMUNOTIFY_UNREGISTER_REGION, &cookie));
	}
	CHECK(!ioctl(words, UMMUNOTIFY_REGISTER_REGION, &slot));
	CHECK(!watch(fd, p, page, ranges));
	CHECK(!close(device_open()));
	CHECK(!munmap(p, page));
	CHECK_EQ(*counter, 1);
	CHECK_EQ(read(fd, &ev, sizeof(ev)), sizeof(ev));
	CHECK_EQ(ev.user_cookie_counter, ranges);
	return ranges;
}

static void is_refused(int sock)
{
	/* First all that it does: it could get no page for its own code. */
	fill_and_empty(10);
	say(sock);
	hear(sock);
	printf("# %d ranges\n", fill_and_empty(BOUND / 128));
}

/*
 * What is charged in advance is kept for each processor, and given back some
 * time after memory is short on another one: then a call may succeed.
 */
static void stay_on_one_processor(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	CHECK(!sched_setaffinity(0, sizeof(set), &set));
}

static void test_refused_at_the_bound(void)
{
	struct user alice;
	char path[64];

	stay_on_one_processor();
	cgroup_make();
	set_bound();
	alice = user_start(ALICE, CGROUP "/cgroup.procs", is_refused);
	hear(alice.sock);
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", alice.pid);
	CHECK(write_string(path, "-1000"));
	say(alice.sock);
	CHECK(!user_end(alice));
	CHECK(cgroup_value("memory.events", "oom") > 0);
	CHECK_EQ(cgroup_value("memory.events", "oom_kill"), 0);
	cgroup_remove();
}

static const struct tap_test tests[] = {
	TEST(own_memory_only),
	TEST(events_cannot_be_fetched),
	TEST(passed_descriptor_is_powerless),
	TEST(inherited_descriptor_is_powerless),
	TEST(others_can_open),
	TEST(ranges_are_bounded),
	TEST(files_are_bounded),
	TEST(words_are_bounded),
	TEST(mapped_words_are_bounded),
	TEST(refused_at_the_bound),
};

int main(int argc, char **argv)
{
	return run_tests(tests, sizeof(tests) / sizeof(*tests), argc, argv);
}
