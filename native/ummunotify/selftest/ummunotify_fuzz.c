// SPDX-License-Identifier: GPL-2.0
/*
 * Calls of all kinds with arguments that are right, nearly right, at the edge
 * or nonsense, by several threads of several processes on the same files. The
 * kernel's own checks are the judge; here only results are checked that the
 * interface does not name.
 *
 * ummunotify_fuzz [-s seed] [-t seconds] [-j threads] [-f]
 */
#define _GNU_SOURCE
#include "load.h"

#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

/*
 * Descriptors that the threads share. The numbers are never free, so that a
 * call that lost a race meets the device or an O_PATH file, and nothing else.
 */
#define FILES		16
#define FIRST_FD	500
#define ARENA_PAGES	32	/* memory that all of them change */
/* Far below what mmap() chooses: nothing else may end up in a hole of it. */
#define ARENA_ADDRESS	((char *)0x10000000000)
#define ROUND_SECONDS	5
#define PROCESSES	2
#define NUDGE_US	20000	/* how often sleeping threads are interrupted */

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof(*(a)))

static int closed_fd, null_fd, sink_fd, zero_fd;
static atomic_bool stop;
static unsigned long calls, good;

static __thread unsigned long my_calls, my_good;

/* Arguments */

static __u64 any_u64(void)
{
	static const __u64 edges[] = {
		0, 1, 7, 8, 31, 32, 33, 4095, 4096, 4097, 1ULL << 31,
		1ULL << 32, 0x7fffffffe000, 0x7ffffffff000, 0x800000000000,
		0xffff800000000000, 0xffffffff80000000, 0x8000000000000000,
		-4096ULL, -8ULL, -1ULL,
	};

	switch (below(4)) {
	case 0:
		return random_u64() >> below(64);
	case 1:
		return edges[below(ARRAY_SIZE(edges))] + below(3) - 1;
	default:
		return edges[below(ARRAY_SIZE(edges))];
	}
}

static __u64 any_address(void)
{
	switch (below(8)) {
	case 0:
		return any_u64();
	case 1:		/* its end is on the next page */
		return (__u64)ARENA_ADDRESS + (1 + below(ARENA_PAGES)) * page -
			below(32);
	case 2:
		return (__u64)ARENA_ADDRESS + below(ARENA_PAGES * page);
	default:
		return (__u64)ARENA_ADDRESS + below(ARENA_PAGES) * page;
	}
}

static __u64 any_cookie(void)
{
	return one_in(8) ? any_u64() : below(64);
}

static __u32 any_slot(void)
{
	static const __u32 edges[] = {
		0, 1, 1023, 1024, UMMUNOTIFY_SLOTS - 1, UMMUNOTIFY_SLOTS,
		UMMUNOTIFY_SLOTS + 1, 0x80000000, UMMUNOTIFY_NO_SLOT - 1,
		UMMUNOTIFY_NO_SLOT, UMMUNOTIFY_NO_SLOT,
	};

	if (one_in(2))
		return below(UMMUNOTIFY_SLOTS);
	return edges[below(ARRAY_SIZE(edges))];
}

/*
 * Where arguments are: mostly in the arena, which other threads change, so
 * also the kernel sees them vanish under its hands.
 */
static void *place(const void *arg, size_t size)
{
	static __thread __u64 own[64];
	struct iovec local = { (void *)arg, size };
	struct iovec remote;

	if (!one_in(4)) {
		memcpy(own, arg, size);
		return own;
	}
	remote.iov_base = (void *)any_address();
	remote.iov_len = size;
	/* No signal when it is not writable. */
	process_vm_writev(getpid(), &local, 1, &remote, 1, 0);
	return remote.iov_base;
}

static int any_fd(void)
{
	return FIRST_FD + below(FILES);
}

/* Results */

static void expect(const char *what, long ret, const int *errors, size_t n)
{
	my_calls++;
	if (ret >= 0) {
		my_good++;
		return;
	}
	/* Another thread has closed it. */
	if (errno == EBADF)
		return;
	for (size_t i = 0; i < n; i++)
		if (errno == errors[i])
			return;
	die("%s: %ld, errno %d (%s)", what, ret, errno, strerror(errno));
}

#define EXPECT(what, ret, ...) do {					\
	const int _errors[] = { __VA_ARGS__ };				\
									\
	expect(what, ret, _errors, ARRAY_SIZE(_errors));		\
} while (0)

/* Calls */

/*
 * The signal that ends a sleep would meet the failure that was meant for the
 * call, so with failures nothing sleeps.
 */
static int nonblock(void)
{
	return opt.faults ? O_NONBLOCK : 0;
}

static void do_open(void)
{
	static const int flags[] = {
		O_RDONLY | O_NONBLOCK, O_RDONLY | O_NONBLOCK,
		O_RDONLY | O_NONBLOCK, O_RDONLY | O_NONBLOCK, O_RDONLY,
		O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC, O_RDONLY | O_APPEND,
		O_RDONLY | O_ASYNC | O_NONBLOCK, O_RDONLY | O_DIRECT,
		O_PATH, O_RDWR | O_CREAT | O_EXCL,
	};
	int how = flags[below(ARRAY_SIZE(flags))] | nonblock(), fd;

	fault_before();
	fd = open(DEVICE, how | O_CLOEXEC, 0);
	fault_after();
	EXPECT("open", fd, EINVAL, ENOMEM, EEXIST, EINTR, EFAULT, EMFILE,
	       ENFILE);
	if (fd < 0)
		return;
	if ((how & O_ACCMODE) != O_RDONLY)
		die("open with flags %#x succeeded", how);
	dup3(fd, any_fd(), O_CLOEXEC);
	close(fd);
}

static void do_close(void)
{
	dup3(closed_fd, any_fd(), O_CLOEXEC);
}

static void do_dup(void)
{
	dup3(any_fd(), any_fd(), O_CLOEXEC);
}

static long device_ioctl(unsigned int cmd, const void *arg)
{
	long ret;

	fault_before();
	ret = ioctl(any_fd(), cmd, arg);
	fault_after();
	return ret;
}

static void do_exchange(void)
{
	__u32 word = one_in(4) ? random_u64() :
		     UMMUNOTIFY_FEATURE_TAG | below(32);

	EXPECT("exchange", device_ioctl(UMMUNOTIFY_EXCHANGE_FEATURES,
					place(&word, sizeof(word))),
	       EFAULT, EINVAL, EIO, ENOMEM);
}

static void do_register(void)
{
	struct ummunotify_register_ioctl reg = {
		.start = any_address(),
		.user_cookie = any_cookie(),
		.flags = random_u64(),
		.reserved = any_slot(),
	};

	reg.end = one_in(3) ? any_address() : reg.start + any_u64();
	EXPECT("register", device_ioctl(UMMUNOTIFY_REGISTER_REGION,
					place(&reg, sizeof(reg))),
	       EFAULT, EINVAL, EIO, ENOMEM, ENOSPC);
}

static void do_unregister(void)
{
	__u64 cookie = any_cookie();

	EXPECT("unregister", device_ioctl(UMMUNOTIFY_UNREGISTER_REGION,
					  place(&cookie, sizeof(cookie))),
	       EFAULT, EINVAL, EIO);
}

static void do_batch(void)
{
	static const __u32 counts[] = {
		0, 1, 2, 8, 64, UMMUNOTIFY_BATCH_MAX - 1,
		UMMUNOTIFY_BATCH_MAX, UMMUNOTIFY_BATCH_MAX + 1, 0x20000000,
		0xffffffff,
	};
	__u64 cookies[64];
	struct ummunotify_batch batch = {
		.cookies = one_in(2) ? any_address() : (__u64)cookies,
		.count = counts[below(ARRAY_SIZE(counts))],
		.reserved = one_in(16) ? random_u64() : 0,
	};
	long ret;

	for (size_t i = 0; i < ARRAY_SIZE(cookies); i++)
		cookies[i] = any_cookie();
	ret = device_ioctl(UMMUNOTIFY_UNREGISTER_BATCH,
			   place(&batch, sizeof(batch)));
	EXPECT("batch", ret, EFAULT, EINVAL, EIO, ENOMEM, ENOTTY);
	if (ret > UMMUNOTIFY_BATCH_MAX)
		die("batch unregistered %ld", ret);
}

/* Numbers near the known ones, and generic ones that the kernel handles. */
static void do_other_ioctl(void)
{
	static const unsigned int known[] = {
		UMMUNOTIFY_EXCHANGE_FEATURES, UMMUNOTIFY_REGISTER_REGION,
		UMMUNOTIFY_UNREGISTER_REGION, UMMUNOTIFY_UNREGISTER_BATCH,
	};
	unsigned int cmd = known[below(ARRAY_SIZE(known))];

	switch (below(3)) {
	case 0:
		cmd ^= 1U << below(32);
		break;
	case 1:
		cmd = _IOC(below(4), 'U', below(8), below(64));
		break;
	default:
		cmd = random_u64();
	}
	device_ioctl(cmd, (void *)any_address());
	my_calls++;
}

static void do_read(void)
{
	static char own[8192];
	size_t size = one_in(4) ? any_u64() : below(sizeof(own) + 1);
	void *buffer = one_in(2) && size <= sizeof(own) ?
		       own : (void *)any_address();
	ssize_t n;

	fault_before();
	if (one_in(8)) {
		struct iovec iov[3] = {
			{ buffer, size & 0xfff },
			{ (void *)any_address(), below(200) },
			{ (void *)any_address(), below(5000) },
		};

		n = readv(any_fd(), iov, 1 + below(3));
		fault_after();
		EXPECT("readv", n, EAGAIN, EFAULT, EINTR, EINVAL, EIO, ENOMEM);
		return;
	}
	n = read(any_fd(), buffer, size);
	fault_after();
	EXPECT("read", n, EAGAIN, EFAULT, EINTR, EINVAL, EIO);
	if (n > 0 && (n % sizeof(struct ummunotify_event) ||
		      n > (ssize_t)(EVENTS_MAX *
				    sizeof(struct ummunotify_event))))
		die("read returned %zd of %zu", n, size);
}

static void do_other_transfer(void)
{
	char buffer[64] = { 0 };
	int fd = any_fd(), pipe_fd[2];

	switch (below(5)) {
	case 0:
		if (pread(fd, buffer, sizeof(buffer), any_u64()) >= 0)
			die("pread succeeded");
		break;
	case 1:
		if (write(fd, buffer, sizeof(buffer)) >= 0)
			die("write succeeded");
		break;
	case 2:
		if (lseek(fd, any_u64(), below(5)) >= 0)
			die("lseek succeeded");
		break;
	case 3:
		if (sendfile(null_fd, fd, NULL, 4096) > 0)
			die("sendfile succeeded");
		break;
	default:
		if (pipe2(pipe_fd, O_CLOEXEC | O_NONBLOCK))
			break;
		if (splice(fd, NULL, pipe_fd[1], NULL, 4096,
			   SPLICE_F_NONBLOCK) > 0)
			die("splice succeeded");
		close(pipe_fd[0]);
		close(pipe_fd[1]);
	}
	my_calls++;
}

static void use_mapping(char *p, size_t size)
{
	switch (below(6)) {
	case 0:
		mprotect(p, size, below(8));
		break;
	case 1:
		madvise(p, size, below(26));
		break;
	case 2:
		if (mremap(p, size, below(4) * page, MREMAP_MAYMOVE |
			   MREMAP_FIXED, ARENA_ADDRESS + below(8) * page) !=
		    MAP_FAILED)
			return;
		break;
	case 3:
		if (read(zero_fd, p, 1) == 1)
			die("the counter can be written");
		break;
	default:
		/* A load would end in a signal where there is no page. */
		if (pwrite(sink_fd, p + below(size), 1, 0) < 0)
			CHECK(errno == EFAULT);
	}
	munmap(p, size);
}

static void do_mmap(void)
{
	static const size_t offsets[] = { 0, 0, 0, 1, 1, 2, 1024, 1025 };
	static const size_t sizes[] = { 1, 1, 1, 2, 3, 1023, 1024, 1025 };
	size_t size = sizes[below(ARRAY_SIZE(sizes))] * page -
		      (one_in(4) ? below(page) : 0);
	__u64 offset = one_in(8) ? any_u64() & -page :
		       offsets[below(ARRAY_SIZE(offsets))] * page;
	int flags = one_in(2) ? MAP_SHARED : MAP_PRIVATE;
	int prot = one_in(2) ? PROT_READ : below(8);
	char *p, *where = NULL;

	if (one_in(4) && size <= ARENA_PAGES * page) {
		where = ARENA_ADDRESS;
		flags |= MAP_FIXED;
	}
	if (one_in(4))
		flags |= MAP_POPULATE;
	fault_before();
	p = mmap(where, size, prot, flags, any_fd(), offset);
	fault_after();
	EXPECT("mmap", p == MAP_FAILED ? -1 : 0, EACCES, EINVAL, ENOMEM,
	       EOVERFLOW, EAGAIN, EPERM, ENODEV);
	if (p == MAP_FAILED)
		return;
	if (prot & PROT_WRITE)
		die("mmap with protection %#x succeeded", prot);
	/* What is in the arena stays until somebody changes the arena. */
	if (!where)
		use_mapping(p, size);
}

static void do_wait(void)
{
	struct pollfd pfd = { .fd = any_fd(), .events = random_u64() };
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	int epoll;

	if (one_in(2)) {
		poll(&pfd, 1, below(3));
		my_calls++;
		return;
	}
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0)
		return;
	if (!epoll_ctl(epoll, EPOLL_CTL_ADD, pfd.fd, &ev))
		epoll_wait(epoll, &ev, 1, below(3));
	close(epoll);
	my_calls++;
}

static void do_fcntl(void)
{
	int fd = any_fd();

	switch (below(4)) {
	case 0:
		fcntl(fd, F_SETFL, O_NONBLOCK | (one_in(2) ? O_ASYNC : 0));
		break;
	case 1:
		fcntl(fd, F_SETFL, nonblock() | (one_in(2) ? O_ASYNC : 0));
		break;
	case 2:
		fcntl(fd, F_SETOWN, one_in(2) ? getpid() : 0);
		break;
	default:
		fcntl(fd, F_SETSIG, one_in(2) ? SIGIO : SIGURG);
	}
	my_calls++;
}

static void change_arena(void)
{
	size_t first = below(ARENA_PAGES);
	size_t size = (1 + below(ARENA_PAGES - first)) * page;
	char *p = ARENA_ADDRESS + first * page;

	switch (below(6)) {
	case 0:
		munmap(p, size);
		break;
	case 1:
		mprotect(p, size, below(4));
		break;
	case 2:
		madvise(p, size, below(26));
		break;
	case 3:
		if (read(zero_fd, p, size) < 0)
			CHECK(errno == EFAULT);
		break;
	default:
		mmap(p, size, PROT_READ | PROT_WRITE, MAP_FIXED |
		     MAP_ANONYMOUS | (one_in(2) ? MAP_SHARED : MAP_PRIVATE),
		     -1, 0);
	}
}

static void one_call(void);

/* The child has the parent's files and addresses, but not its mm. */
static void do_fork(void)
{
	pid_t pid;

	if (!one_in(16))
		return;
	pid = fork_child();
	if (!pid) {
		for (int i = below(20); i > 0; i--)
			one_call();
		_exit(0);
	}
	if (pid < 0)
		return;
	if (one_in(4))
		kill(pid, SIGKILL);
	else
		sleep_us(below(2000));
	/* One that sleeps in a read is not nudged: end it. */
	for (int i = 0; i < 100; i++) {
		int status;
		pid_t done = waitpid(pid, &status, WNOHANG);

		if (done == pid) {
			if (WIFEXITED(status) && WEXITSTATUS(status))
				_exit(1);
			return;
		}
		sleep_us(2000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void one_call(void)
{
	static void (* const all[])(void) = {
		do_open, do_open, do_close, do_dup, do_exchange, do_exchange,
		do_register, do_register, do_register, do_register,
		do_register, do_register, do_unregister, do_unregister,
		do_batch, do_other_ioctl, do_read, do_read, do_read,
		do_other_transfer, do_mmap, do_wait, do_fcntl, change_arena,
		change_arena, change_arena,
	};

	all[below(ARRAY_SIZE(all))]();
}

static void *worker(void *arg)
{
	random_start((uintptr_t)arg);
	while (!stop) {
		one_call();
		if (one_in(64))
			do_fork();
	}
	fail_nth_forget();
	__atomic_fetch_add(&calls, my_calls, __ATOMIC_RELAXED);
	__atomic_fetch_add(&good, my_good, __ATOMIC_RELAXED);
	return NULL;
}

static void nudged(int sig)
{
	(void)sig;
}

static void run_round(unsigned int number)
{
	double end = now() + ROUND_SECONDS;
	pthread_t thread[opt.threads];
	unsigned int left = opt.threads;

	stop = false;
	mmap(ARENA_ADDRESS, ARENA_PAGES * page, PROT_READ | PROT_WRITE,
	     MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < FILES; i++) {
		int fd = open(DEVICE, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

		CHECK(dup3(fd, FIRST_FD + i, O_CLOEXEC) >= 0);
		close(fd);
	}
	for (uintptr_t i = 0; i < opt.threads; i++)
		CHECK(!pthread_create(&thread[i], NULL, worker,
				      (void *)(((uintptr_t)getpid() << 32) +
					       number * opt.threads + i)));
	while (left) {
		sleep_us(NUDGE_US);
		stop = now() >= end;
		for (unsigned int i = 0; i < left && !opt.faults; i++)
			pthread_kill(thread[i], SIGUSR1);
		if (stop && !pthread_tryjoin_np(thread[left - 1], NULL))
			left--;
	}
}

static int run_process(unsigned int number, double end)
{
	struct sigaction action = { .sa_handler = nudged };

	closed_fd = open("/", O_PATH | O_CLOEXEC);
	sink_fd = memfd_create("sink", MFD_CLOEXEC);
	null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	zero_fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	CHECK(closed_fd >= 0 && sink_fd >= 0 && null_fd >= 0 && zero_fd >= 0);
	signal(SIGIO, SIG_IGN);
	signal(SIGURG, SIG_IGN);
	sigaction(SIGUSR1, &action, NULL);
	random_start(number);
	for (unsigned int round = 0; now() < end; round++)
		run_round(round);
	printf("# process %u: %lu calls, %lu successful\n", number, calls,
	       good);
	return 0;
}

int main(int argc, char **argv)
{
	pid_t pid[PROCESSES];
	bool passed = true;
	double end;

	options_parse(argc, argv, "ummunotify_fuzz");
	alarm(opt.seconds * 5 + 120);
	end = now() + opt.seconds;
	for (unsigned int i = 0; i < PROCESSES; i++) {
		pid[i] = fork_child();
		CHECK(pid[i] >= 0);
		if (!pid[i])
			exit(run_process(i, end));
	}
	for (unsigned int i = 0; i < PROCESSES; i++)
		passed &= child_passed(pid[i]);
	return report(passed);
}
