/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What ummunotify_stress and ummunotify_fuzz share: options, random numbers,
 * failures on demand, and how a run ends.
 */
#ifndef LOAD_H
#define LOAD_H

#include "fail_nth.h"

#include <linux/ummunotify.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEVICE		"/dev/ummunotify"
#define EXIT_SKIP	4	/* as in kselftest */
#define EVENTS_MAX	128	/* what one read() delivers at most */

struct options {
	const char *name;
	__u64 seed;
	unsigned int seconds;
	unsigned int threads;
	bool faults;
};

static struct options opt = { .seconds = 10, .threads = 8 };
static size_t page;

/* Random numbers, repeatable for a seed and a thread (splitmix64). */

static __thread __u64 random_state;

static inline __u64 random_u64(void)
{
	__u64 z = random_state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static inline void random_start(__u64 stream)
{
	random_state = opt.seed + stream * 0xd1342543de82ef95;
	random_u64();
}

/* From 0 to n - 1. */
static inline __u64 below(__u64 n)
{
	return random_u64() % n;
}

static inline bool one_in(unsigned int n)
{
	return !below(n);
}

/* The end of a run. Only system calls: it may be a child of threads. */

static noreturn void die(const char *fmt, ...)
{
	char text[512];
	va_list args;
	int n;

	n = snprintf(text, sizeof(text), "# %s, seed %llu: ", opt.name,
		     (unsigned long long)opt.seed);
	va_start(args, fmt);
	n += vsnprintf(text + n, sizeof(text) - n, fmt, args);
	va_end(args);
	if (n > (int)sizeof(text) - 2)
		n = sizeof(text) - 2;
	text[n++] = '\n';
	if (write(STDOUT_FILENO, text, n) != n)
		_exit(3);
	_exit(1);
}

#define CHECK(cond) do {						\
	if (!(cond))							\
		die("line %d: %s is not so (errno %d, %s)", __LINE__,	\
		    #cond, errno, strerror(errno));			\
} while (0)

/* Failures now and then, of the next call. */

static __thread bool fail_nth_armed;

static inline void fault_before(void)
{
	if (opt.faults && one_in(3))
		fail_nth_armed = fail_nth_write(1 + below(one_in(4) ? 40 : 8));
}

/* True when the call may have been failed; keeps errno. */
static inline bool fault_after(void)
{
	bool was_armed = fail_nth_armed;
	int err = errno;

	if (was_armed)
		fail_nth_write(0);
	fail_nth_armed = false;
	errno = err;
	return was_armed;
}

/* Time */

static inline double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static inline void sleep_us(long us)
{
	struct timespec ts = { us / 1000000, us % 1000000 * 1000 };

	nanosleep(&ts, NULL);
}

/* Children */

/* A child that does not survive its parent. */
static inline pid_t fork_child(void)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fail_nth_forget();
		fail_nth_armed = false;
	}
	return pid;
}

/* True when it exited with 0. */
static inline bool child_passed(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		CHECK(errno == EINTR);
	if (WIFSIGNALED(status))
		printf("# a process was killed by signal %d\n",
		       WTERMSIG(status));
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

/* Options and the frame of the output, which is TAP. */

static inline void options_parse(int argc, char **argv, const char *name)
{
	struct timespec ts;
	int c;

	clock_gettime(CLOCK_REALTIME, &ts);
	opt.name = name;
	opt.seed = ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
	page = sysconf(_SC_PAGESIZE);
	while ((c = getopt(argc, argv, "s:t:j:f")) != -1) {
		switch (c) {
		case 's':
			opt.seed = strtoull(optarg, NULL, 0);
			break;
		case 't':
			opt.seconds = strtoul(optarg, NULL, 0);
			break;
		case 'j':
			opt.threads = strtoul(optarg, NULL, 0);
			break;
		case 'f':
			opt.faults = true;
			break;
		default:
			fprintf(stderr,
				"usage: %s [-s seed] [-t seconds] [-j threads] [-f]\n"
				"  -f  let allocations and user copies fail (root, a debug kernel)\n",
				name);
			exit(2);
		}
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n1..1\n");
	if (access(DEVICE, R_OK)) {
		printf("ok 1 %s # SKIP no %s\n", name, DEVICE);
		exit(EXIT_SKIP);
	}
	if (opt.faults && !faults_start()) {
		printf("ok 1 %s # SKIP no fault injection\n", name);
		exit(EXIT_SKIP);
	}
	printf("# seed %llu, %u s, %u threads%s\n",
	       (unsigned long long)opt.seed, opt.seconds, opt.threads,
	       opt.faults ? ", with failures" : "");
}

static inline int report(bool passed)
{
	printf("%s 1 %s%s\n", passed ? "ok" : "not ok", opt.name,
	       opt.faults ? " with failures" : "");
	return passed ? 0 : 1;
}

#endif /* LOAD_H */
