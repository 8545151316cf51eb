/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The frame of a program that is a list of tests: each runs in a process of
 * its own, with a time limit, and the output is TAP.
 */
#ifndef TAP_H
#define TAP_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIME_LIMIT	300	/* seconds, also for a busy, emulated CPU */
#define EXIT_SKIP	4	/* as in kselftest */

static size_t page;

/* Outcome of a test: the process ends. */

static inline void fail(const char *file, int line, const char *fmt, ...)
{
	va_list args;

	printf("# %s:%d: ", file, line);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	_exit(1);
}

static inline void skip(const char *why)
{
	printf("# SKIP %s\n", why);
	fflush(stdout);
	_exit(EXIT_SKIP);
}

#define CHECK(cond) do {						\
	if (!(cond))							\
		fail(__FILE__, __LINE__, "%s (errno %d, %s)", #cond,	\
		     errno, strerror(errno));				\
} while (0)

#define CHECK_EQ(a, b) do {						\
	long long _a = (long long)(a), _b = (long long)(b);		\
									\
	if (_a != _b)							\
		fail(__FILE__, __LINE__, "%s is %lld (%#llx), not %lld (%#llx)", \
		     #a, _a, _a, _b, _b);				\
} while (0)

#define CHECK_ERRNO(call, err) do {					\
	long long _r;							\
									\
	errno = 0;							\
	_r = (long long)(call);						\
	if (_r != -1 || errno != (err))					\
		fail(__FILE__, __LINE__, "%s gives %lld, errno %d (%s), not errno %d", \
		     #call, _r, errno, strerror(errno), err);		\
} while (0)

struct tap_test {
	const char *name;
	void (*fn)(void);
};

#define TEST(name) { #name, test_ ## name }

static inline bool is_chosen(const char *name, int argc, char **argv)
{
	if (argc < 2)
		return true;
	for (int i = 1; i < argc; i++)
		if (!strcmp(name, argv[i]))
			return true;
	return false;
}

/* The arguments name the tests to run, all without any; -l lists them. */
static inline int run_tests(const struct tap_test *tests, int n, int argc,
			    char **argv)
{
	int passed = 0, failed = 0, skipped = 0;

	page = sysconf(_SC_PAGESIZE);
	if (argc == 2 && !strcmp(argv[1], "-l")) {
		for (int i = 0; i < n; i++)
			puts(tests[i].name);
		return 0;
	}

	printf("TAP version 13\n1..%d\n", n);
	for (int i = 0; i < n; i++) {
		int status;
		pid_t pid;

		if (!is_chosen(tests[i].name, argc, argv)) {
			printf("ok %d %s # SKIP not asked for\n", i + 1,
			       tests[i].name);
			continue;
		}
		fflush(stdout);
		pid = fork();
		if (!pid) {
			alarm(TIME_LIMIT);
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

#endif /* TAP_H */
