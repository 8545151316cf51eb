/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A memory control group of one test's own. Needs root.
 */
#ifndef CGROUP_H
#define CGROUP_H

#include "tap.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define CGROUP_MOUNT	"/tmp/ummunotify-cgroup"
#define CGROUP		CGROUP_MOUNT "/ummunotify-test"

static inline bool write_string(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) > 0;

	close(fd);
	return ok;
}

static inline long read_number(const char *path)
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

/* Where there is none the test is skipped. */
static inline void cgroup_make(void)
{
	mkdir(CGROUP_MOUNT, 0755);
	/* A test that failed has left it there. */
	if (mount("none", CGROUP_MOUNT, "cgroup2", 0, NULL) && errno != EBUSY)
		skip("cannot mount cgroup2");
	rmdir(CGROUP);
	write_string(CGROUP_MOUNT "/cgroup.subtree_control", "+memory");
	if ((mkdir(CGROUP, 0755) && errno != EEXIST) ||
	    read_number(CGROUP "/memory.current") < 0) {
		umount(CGROUP_MOUNT);
		skip("no memory controller");
	}
}

static inline bool cgroup_enter(void)
{
	return write_string(CGROUP "/cgroup.procs", "0");
}

/* A number of a file of it that has a number with a name in each line. */
static inline long cgroup_value(const char *file, const char *name)
{
	char path[128], key[64];
	long n, found = -1;
	FILE *f;

	snprintf(path, sizeof(path), CGROUP "/%s", file);
	f = fopen(path, "r");
	if (!f)
		return -1;
	while (found < 0 && fscanf(f, "%63s %ld", key, &n) == 2)
		if (!strcmp(key, name))
			found = n;
	fclose(f);
	return found;
}

/* Once nobody is in it. */
static inline void cgroup_remove(void)
{
	CHECK(!rmdir(CGROUP));
	umount(CGROUP_MOUNT);
	rmdir(CGROUP_MOUNT);
}

#endif /* CGROUP_H */
