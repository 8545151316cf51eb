/* SPDX-License-Identifier: MIT */
/*
 * Makes a single call on another thread of this process, or in a child process that shares its memory, as the child of
 * vfork(2) does, and waits for it. And has a child process that does nothing.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct call {
	long (*function)(long, long, long, long, long, long, long);
	const long *arguments;
	long result;
	int error;
};

static int make(void *argument)
{
	struct call *call = argument;
	const long *a = call->arguments;

	call->result = call->function(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
	call->error = errno;
	return 0;
}

static void *make_on_thread(void *argument)
{
	make(argument);
	return NULL;
}

/* Looked up here: what has hooks may not be called from the middle of them. */
static int look_up(struct call *call, const char *name, const long *arguments)
{
	call->function = (long (*)(long, long, long, long, long, long, long))dlsym(RTLD_DEFAULT, name);
	call->arguments = arguments;
	return call->function == NULL ? ENOSYS : 0;
}

/*
 * Both call the function `name` with seven words. Error number of what kept them from it; the call's own result and
 * error are in `result` and `error`.
 */
int coverage_on_thread(const char *name, const long *arguments, long *result, int *error)
{
	struct call call;
	pthread_t thread;
	int failure = look_up(&call, name, arguments);

	if (failure == 0)
		failure = pthread_create(&thread, NULL, make_on_thread, &call);
	if (failure == 0)
		failure = pthread_join(thread, NULL);
	*result = call.result;
	*error = call.error;
	return failure;
}

int coverage_in_child(const char *name, const long *arguments, long *result, int *error)
{
	static alignas(16) char stack[1 << 16];
	struct call call;
	int failure = look_up(&call, name, arguments);
	pid_t child;

	if (failure != 0)
		return failure;
	/* With the files, as it may open some; without a signal at its end, which the runtime would look into. */
	child = clone(make, stack + sizeof(stack), CLONE_VM | CLONE_FILES | CLONE_VFORK, &call);
	if (child == -1 || waitpid(child, NULL, __WALL) == -1)
		return errno;
	*result = call.result;
	*error = call.error;
	return 0;
}

/* A copy of this process that waits until it is killed, at the latest when this one ends. -1 and errno on failure. */
int coverage_fork_idle(void)
{
	pid_t parent = getpid();
	pid_t child = fork();

	if (child != 0)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (getppid() == parent)
		pause();
	_exit(0);
}

/* Error number. */
int coverage_end_fork(int child)
{
	return kill(child, SIGKILL) == -1 || waitpid(child, NULL, 0) == -1 ? errno : 0;
}
