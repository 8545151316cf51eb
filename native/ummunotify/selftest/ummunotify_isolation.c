// SPDX-License-Identifier: GPL-2.0
/*
 * Two users who do not trust each other: what one can learn of the other's
 * memory, take away from it or use up. Needs root, to become both of them.
 * Prints TAP.
 */
#define _GNU_SOURCE
#include <linux/ummunotify.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
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
#define CGROUP		"/tmp/ummunotify-isolation"
#define ALICE		1001
#define BOB		1002
#define FIXED		((char *)0x200000000000 - (16 << 20))
#define TIME_LIMIT	120
#define EXIT_SKIP	4

#ifndef __NR_pidfd_open
#define __NR_pidfd_open		434
#endif
#ifndef __NR_pidfd_getfd
#define __NR_pidfd_getfd	438
#endif

static size_t page;

#define CHECK(cond) do {						\
	if (!(cond)) {							\
		printf("# %s:%d: %s (errno %d, %s)\n", __FILE__,	\
		       __LINE__, #cond, errno, strerror(errno));	\
		fflush(stdout);						\
		_exit(1);						\
	}								\
} while (0)

#define CHECK_ERRNO(call, err) do {					\
	errno = 0;							\
	CHECK((call) == -1 && errno == (err));				\
} while (0)

static void skip(const char *why)
{
	printf("# SKIP %s\n", why);
	fflush(stdout);
	_exit(EXIT_SKIP);
}

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

static bool write_string(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) > 0;

	close(fd);
	return ok;
}

static long read_number(const char *path)
{
	FILE *f = fopen(path, "r");
	long n = -1;

	if (f) {
		if (fscanf(f, "%ld", &n) != 1)
			n = -1;
		fclose(f);
	}
	return n;
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

static void send_fd(int sock, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = "", byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	CHECK(sendmsg(sock, &msg, 0) == 1);
}

static int receive_fd(int sock)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	int fd;

	CHECK(recvmsg(sock, &msg, 0) == 1);
	CHECK(CMSG_FIRSTHDR(&msg));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
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

/* Kernel memory without end: it comes to the end of its control group's. */

static void watches_without_end(int sock)
{
	uint64_t cookie = 0;
	char *p = map_at(NULL);
	int fd = -1;

	say(sock);
	hear(sock);
	for (;;) {
		int next = device_open();

		/* Out of files or memory: go on until there is none at all. */
		if (next >= 0)
			fd = next;
		while (fd >= 0 && !watch(fd, p, page, cookie))
			cookie++;
		if (fd < 0 || (next < 0 && errno == ENOMEM))
			break;
	}
	/* Refused, and not killed: that will do as well. */
}

#define BOUND	(16L << 20)

static void test_memory_is_bounded(void)
{
	char bound[32];
	struct user alice, bob;
	long current, peak = 0;
	int status;

	mkdir(CGROUP, 0755);
	if (mount("none", CGROUP, "cgroup2", 0, NULL))
		skip("cannot mount cgroup2");
	write_string(CGROUP "/cgroup.subtree_control", "+memory");
	if ((mkdir(CGROUP "/alice", 0755) && errno != EEXIST) ||
	    read_number(CGROUP "/alice/memory.current") < 0) {
		umount(CGROUP);
		skip("no memory controller");
	}
	snprintf(bound, sizeof(bound), "%ld", BOUND);
	CHECK(write_string(CGROUP "/alice/memory.max", bound));
	write_string(CGROUP "/alice/memory.swap.max", "0");

	alice = user_start(ALICE, CGROUP "/alice/cgroup.procs",
			   watches_without_end);
	hear(alice.sock);
	say(alice.sock);
	for (int i = 0;; i++) {
		pid_t ended = waitpid(alice.pid, &status, WNOHANG);

		current = read_number(CGROUP "/alice/memory.current");
		if (current > peak)
			peak = current;
		if (ended)
			break;
		/* Far more than fits: nothing stops it. */
		CHECK(i < TIME_LIMIT * 10);
		/* Meanwhile the other one works. */
		if (i % 10 == 0) {
			bob = user_start(BOB, NULL, opens_one);
			hear(bob.sock);
			CHECK(!user_end(bob));
		}
		usleep(100000);
	}
	close(alice.sock);
	printf("# at most %ld bytes of %ld\n", peak, BOUND);
	CHECK(peak > BOUND / 2);
	CHECK(peak <= BOUND + (1 << 20));
	CHECK(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : !status);
	/* And all of it is given back. */
	for (int i = 0; i < 50; i++) {
		current = read_number(CGROUP "/alice/memory.current");
		if (current < BOUND / 8)
			break;
		usleep(100000);
	}
	printf("# %ld bytes are left\n", current);
	CHECK(current < BOUND / 8);
	CHECK(!rmdir(CGROUP "/alice"));
	umount(CGROUP);
	rmdir(CGROUP);
}

#define TEST(name) { #name, test_ ## name }

static const struct {
	const char *name;
	void (*fn)(void);
} tests[] = {
	TEST(own_memory_only),
	TEST(events_cannot_be_fetched),
	TEST(passed_descriptor_is_powerless),
	TEST(inherited_descriptor_is_powerless),
	TEST(others_can_open),
	TEST(memory_is_bounded),
};

int main(void)
{
	const int n = sizeof(tests) / sizeof(*tests);
	int passed = 0, failed = 0, skipped = 0;

	page = sysconf(_SC_PAGESIZE);
	printf("TAP version 13\n1..%d\n", n);
	for (int i = 0; i < n; i++) {
		int status;
		pid_t pid;

		fflush(stdout);
		pid = fork();
		if (!pid) {
			alarm(TIME_LIMIT);
			if (getuid())
				skip("needs root");
			tests[i].fn();
			fflush(stdout);
			_exit(0);
		}
		waitpid(pid, &status, 0);
		if (WIFEXITED(status) && !WEXITSTATUS(status)) {
			passed++;
			printf("ok %d %s\n", i + 1, tests[i].name);
		} else if (WIFEXITED(status) &&
			   WEXITSTATUS(status) == EXIT_SKIP) {
			skipped++;
			printf("ok %d %s # SKIP\n", i + 1, tests[i].name);
		} else {
			failed++;
			if (WIFSIGNALED(status))
				printf("# killed by signal %d\n",
				       WTERMSIG(status));
			printf("not ok %d %s\n", i + 1, tests[i].name);
		}
	}
	printf("# passed %d, failed %d, skipped %d\n", passed, failed, skipped);
	return failed ? 1 : 0;
}
