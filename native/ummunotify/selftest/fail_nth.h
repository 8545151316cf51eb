/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Failures on demand, of the nth allocation or user copy of the next call.
 * Needs root and a kernel with fault injection.
 */
#ifndef FAIL_NTH_H
#define FAIL_NTH_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEBUGFS		"/sys/kernel/debug/"

static __thread int fail_nth_fd = -1;

static inline void set_attribute(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, value, strlen(value)) < 0)
		printf("# cannot set %s\n", path);
	close(fd);
}

/* False where the kernel cannot do it. */
static inline bool faults_start(void)
{
	static const char * const kinds[] = {
		"failslab", "fail_page_alloc", "fail_usercopy",
	};
	char path[128];

	if (access("/proc/thread-self/fail-nth", W_OK))
		return false;
	for (unsigned int i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		snprintf(path, sizeof(path), DEBUGFS "%s/verbose", kinds[i]);
		set_attribute(path, "0");
		snprintf(path, sizeof(path), DEBUGFS "%s/ignore-gfp-wait",
			 kinds[i]);
		if (!access(path, F_OK))
			set_attribute(path, "N");
	}
	set_attribute(DEBUGFS "fail_page_alloc/min-order", "0");
	return true;
}

/*
 * The next call fails at its nth place; with 0 none does. The file is of the
 * thread that opened it: a child begins with fail_nth_forget().
 */
static inline bool fail_nth_write(unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	if (fail_nth_fd < 0)
		fail_nth_fd = open("/proc/thread-self/fail-nth",
				   O_RDWR | O_CLOEXEC);
	if (fail_nth_fd < 0)
		return false;
	/* What is armed still may fail this very call, once. */
	return pwrite(fail_nth_fd, text, len, 0) == len ||
	       pwrite(fail_nth_fd, text, len, 0) == len;
}

/* How many places are left until one fails, or -1: 0 says that it has. */
static inline int fail_nth_read(void)
{
	char text[16] = "";

	if (pread(fail_nth_fd, text, sizeof(text) - 1, 0) <= 0)
		return -1;
	return atoi(text);
}

static inline void fail_nth_forget(void)
{
	if (fail_nth_fd >= 0)
		close(fail_nth_fd);
	fail_nth_fd = -1;
}

#endif /* FAIL_NTH_H */
