// SPDX-License-Identifier: GPL-2.0
/*
 * Many threads of several processes register, drain, unmap, fork and close at
 * once, and check what must hold whatever the others do:
 *
 *  - a thread that watches memory of its own and changes the mapping finds the
 *    counter moved, its event, and the generation word changed;
 *  - an unregistered cookie is not reported, but LAST still comes;
 *  - once all is quiet, the last LAST carries the counter's value;
 *  - a forked child gets EIO;
 *  - no call returns anything that the interface does not name.
 *
 * ummunotify_stress [-s seed] [-t seconds] [-j threads] [-f]
 */
#define _GNU_SOURCE
#include "load.h"

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define SHARED		3	/* files that all threads of a process use */
#define ARENA_PAGES	64	/* memory that all of them change */
/* Far below what mmap() chooses: nothing else may end up in a hole of it. */
#define ARENA_ADDRESS	((void *)0x10000000000)
#define COOKIES		512	/* on the shared files */
#define COOKIE_TAG	0xc00c1e0000000000ULL
#define OWN_PAGES	8	/* memory of one thread */
#define OWN_COOKIE	7
#define OWN_SLOT	1234
#define ROUND_SECONDS	2
#define PROCESSES	2

struct watcher {
	int fd;
	__u32 features;
	__u64 *counter;
	__u32 *words;	/* NULL without generations */
	__u64 last;	/* the newest that any thread has read */
};

static struct watcher shared[SHARED];
static char * const arena = ARENA_ADDRESS;
static int zero_fd;
static __thread char *trap;	/* a page, and behind it one without access */
static atomic_bool stop;
static unsigned long operations;

static __u64 counter_of(const struct watcher *w)
{
	return __atomic_load_n(w->counter, __ATOMIC_ACQUIRE);
}

static __u32 word_of(const struct watcher *w)
{
	return w->words ?
	       __atomic_load_n(&w->words[OWN_SLOT], __ATOMIC_ACQUIRE) : 0;
}

/* The interface. -1 with ENOMEM or EFAULT is no fault of it when armed. */

static int exchange(int fd, __u32 *features)
{
	__u32 word = UMMUNOTIFY_FEATURE_TAG | *features;
	int ret;

	do {
		fault_before();
		ret = ioctl(fd, UMMUNOTIFY_EXCHANGE_FEATURES, &word);
	} while (fault_after() && ret &&
		 (errno == ENOMEM || errno == EFAULT));
	CHECK(!ret);
	CHECK(word == (UMMUNOTIFY_FEATURE_TAG | *features));
	return ret;
}

static void watcher_open(struct watcher *w, int flags)
{
	w->features = below(16);
	w->words = NULL;
	w->last = 0;
	do {
		fault_before();
		w->fd = open(DEVICE, O_RDONLY | O_CLOEXEC | flags);
	} while (fault_after() && w->fd < 0 && errno != EINVAL);
	CHECK(w->fd >= 0);
	if (w->features || one_in(2))
		exchange(w->fd, &w->features);
	w->counter = mmap(NULL, page, PROT_READ, MAP_SHARED, w->fd, 0);
	CHECK(w->counter != MAP_FAILED);
	if (w->features & UMMUNOTIFY_FEATURE_GENERATION) {
		w->words = mmap(NULL, UMMUNOTIFY_SLOTS * sizeof(__u32),
				PROT_READ, MAP_SHARED, w->fd, page);
		CHECK(w->words != MAP_FAILED);
	}
}

/* In any order: a mapping keeps the file. */
static void watcher_close(struct watcher *w)
{
	bool early = one_in(2);

	if (early)
		CHECK(!close(w->fd));
	if (w->words)
		CHECK(!munmap(w->words,
			      UMMUNOTIFY_SLOTS * sizeof(__u32)));
	CHECK(!munmap(w->counter, page));
	if (!early)
		CHECK(!close(w->fd));
}

static int watch(const struct watcher *w, const void *start, size_t len,
		 __u64 cookie, __u32 slot)
{
	struct ummunotify_register_ioctl reg = {
		.start = (uintptr_t)start,
		.end = (uintptr_t)start + len,
		.user_cookie = cookie,
		.flags = random_u64(),
		.reserved = w->words ? slot : random_u64(),
	};
	int ret;

	do {
		fault_before();
		ret = ioctl(w->fd, UMMUNOTIFY_REGISTER_REGION, &reg);
	} while (fault_after() && ret &&
		 (errno == ENOMEM || errno == EFAULT));
	CHECK(!ret || errno == EINVAL);
	return ret;
}

static int unwatch(const struct watcher *w, __u64 cookie)
{
	int ret;

	if ((w->features & UMMUNOTIFY_FEATURE_BATCH) && one_in(2)) {
		struct ummunotify_batch batch = {
			.cookies = (uintptr_t)&cookie,
			.count = 1,
		};

		do {
			fault_before();
			ret = ioctl(w->fd, UMMUNOTIFY_UNREGISTER_BATCH,
				    &batch);
		} while (fault_after() && ret < 0 &&
			 (errno == ENOMEM || errno == EFAULT));
		CHECK(ret == 0 || ret == 1);
		return ret - 1;
	}
	do {
		fault_before();
		ret = ioctl(w->fd, UMMUNOTIFY_UNREGISTER_REGION, &cookie);
	} while (fault_after() && ret && errno == EFAULT);
	CHECK(!ret || errno == EINVAL);
	return ret;
}

static void check_last(struct watcher *w, const struct ummunotify_event *ev)
{
	__u64 last = ev->user_cookie_counter, before;

	CHECK(!ev->flags && !ev->hint_start && !ev->hint_end);
	CHECK(last && last <= counter_of(w));
	before = __atomic_load_n(&w->last, __ATOMIC_RELAXED);
	while (before < last &&
	       !__atomic_compare_exchange_n(&w->last, &before, last, true,
					    __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED))
		;
}

static void check_event(struct watcher *w, const struct ummunotify_event *ev)
{
	__u32 allowed = UMMUNOTIFY_EVENT_FLAG_HINT;

	if (ev->type == UMMUNOTIFY_EVENT_TYPE_LAST) {
		check_last(w, ev);
		return;
	}
	CHECK(ev->type == UMMUNOTIFY_EVENT_TYPE_INVAL);
	if (w->features & UMMUNOTIFY_FEATURE_KIND) {
		allowed |= UMMUNOTIFY_KIND_MASK;
		CHECK(ev->flags & UMMUNOTIFY_KIND_MASK);
	}
	CHECK(!(ev->flags & ~allowed));
	CHECK(ev->hint_start < ev->hint_end);
}

/*
 * Read to LAST or EAGAIN. Returns whether the cookie was reported; *last is
 * set when there was a LAST.
 */
static bool drain(struct watcher *w, __u64 cookie, __u64 *last)
{
	struct ummunotify_event ev[EVENTS_MAX];
	bool seen = false;

	for (;;) {
		size_t size = one_in(2) ? sizeof(ev) :
			      sizeof(*ev) + below(sizeof(ev) - sizeof(*ev));
		ssize_t n;

		fault_before();
		n = read(w->fd, ev, size);
		if (fault_after() && n < 0 && errno == EFAULT)
			continue;
		if (n < 0 && errno == EAGAIN)
			return seen;
		CHECK(n > 0);
		CHECK(n <= (ssize_t)size && n % sizeof(*ev) == 0);
		for (size_t i = 0; i < n / sizeof(*ev); i++) {
			check_event(w, &ev[i]);
			if (ev[i].type == UMMUNOTIFY_EVENT_TYPE_LAST) {
				CHECK(i == n / sizeof(*ev) - 1);
				*last = ev[i].user_cookie_counter;
				return seen;
			}
			if (ev[i].user_cookie_counter == cookie)
				seen = true;
		}
	}
}

/* What all threads of a process share. */

static char *random_span(size_t *len)
{
	size_t first = below(ARENA_PAGES);

	*len = (1 + below(ARENA_PAGES - first)) * page;
	return arena + first * page;
}

/* Without a signal when another thread has unmapped it. */
static void touch(void *start, size_t len)
{
	if (read(zero_fd, start, len) < 0)
		CHECK(errno == EFAULT);
}

static void remap(void *start, size_t len, int flags, int fd)
{
	mmap(start, len, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0);
}

static void change_arena(void)
{
	static const int advice[] = {
		MADV_DONTNEED, MADV_FREE, MADV_REMOVE, MADV_HUGEPAGE,
		MADV_NOHUGEPAGE, MADV_MERGEABLE, MADV_UNMERGEABLE,
		MADV_DONTFORK, MADV_DOFORK, 20 /* COLD */, 21 /* PAGEOUT */,
		22 /* POPULATE_READ */, 23 /* POPULATE_WRITE */,
		25 /* COLLAPSE */,
	};
	size_t len, len2;
	char *start = random_span(&len), *start2;

	switch (below(8)) {
	case 0:
		munmap(start, len);
		break;
	case 1:
		remap(start, len, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		break;
	case 2:
		remap(start, len, MAP_SHARED | MAP_ANONYMOUS, -1);
		break;
	case 3:
		start2 = random_span(&len2);
		if (start + len <= start2 || start2 + len2 <= start)
			mremap(start, len, len2,
			       MREMAP_MAYMOVE | MREMAP_FIXED, start2);
		break;
	case 4:
		mprotect(start, len, one_in(3) ? PROT_READ :
			 PROT_READ | PROT_WRITE);
		break;
	case 5:
		madvise(start, len,
			advice[below(sizeof(advice) / sizeof(*advice))]);
		break;
	default:
		touch(start, len);
	}
}

static void change_watches(void)
{
	const struct watcher *w = &shared[below(SHARED)];
	__u64 cookie = COOKIE_TAG + below(COOKIES);
	size_t len;
	char *start = random_span(&len);

	switch (below(8)) {
	case 0:
		unwatch(w, cookie);
		break;
	case 1:		/* empty or reversed */
		watch(w, start, -below(len), cookie, below(UMMUNOTIFY_SLOTS));
		break;
	case 2:		/* everything */
		watch(w, NULL, -1, cookie, UMMUNOTIFY_NO_SLOT);
		break;
	case 3: {
		__u64 cookies[64];
		struct ummunotify_batch batch = {
			.cookies = (uintptr_t)cookies,
			.count = 64,
		};
		int ret;

		if (!(w->features & UMMUNOTIFY_FEATURE_BATCH))
			break;
		for (int i = 0; i < 64; i++)
			cookies[i] = COOKIE_TAG + below(COOKIES);
		ret = ioctl(w->fd, UMMUNOTIFY_UNREGISTER_BATCH, &batch);
		CHECK(ret >= 0 && ret <= 64);
		break;
	}
	default:
		watch(w, start + below(page), len - below(page), cookie,
		      below(4096));
	}
}

static void read_shared(void)
{
	struct watcher *w = &shared[below(SHARED)];
	struct ummunotify_event local[EVENTS_MAX], *ev = local;
	struct pollfd pfd = { .fd = w->fd, .events = POLLIN };
	ssize_t n;

	switch (below(6)) {
	case 0:
		n = read(w->fd, local, below(sizeof(*ev)));
		CHECK(n == -1 && errno == EINVAL);
		return;
	case 1:
		n = poll(&pfd, 1, below(3));
		CHECK(n >= 0 && !(pfd.revents & ~(POLLIN | POLLRDNORM)));
		return;
	case 2:
		n = read(w->fd, trap + page, sizeof(local));
		CHECK(n == -1 && (errno == EFAULT || errno == EAGAIN));
		return;
	case 3:		/* fails when there are more events than fit */
		ev = (void *)(trap + page - below(6) * sizeof(*ev));
		n = read(w->fd, ev, sizeof(local));
		CHECK(n > 0 || errno == EFAULT || errno == EAGAIN);
		break;
	default:
		n = read(w->fd, ev, sizeof(*ev) * (1 + below(EVENTS_MAX)));
		CHECK(n > 0 || errno == EAGAIN);
	}
	for (ssize_t i = 0; i < n / (ssize_t)sizeof(*ev); i++) {
		check_event(w, &ev[i]);
		CHECK(ev[i].type == UMMUNOTIFY_EVENT_TYPE_LAST ||
		      ev[i].user_cookie_counter - COOKIE_TAG < COOKIES);
	}
}

/* Everything goes at once, with ranges registered and events pending. */
static void open_and_close(void)
{
	struct watcher w;
	__u64 last;
	size_t len;
	int copy = -1;

	watcher_open(&w, O_NONBLOCK);
	for (int i = below(20); i > 0; i--) {
		char *start = random_span(&len);

		CHECK(!watch(&w, start, len, i, below(UMMUNOTIFY_SLOTS)));
	}
	if (one_in(3))
		change_arena();
	if (one_in(3))
		fcntl(w.fd, F_SETFL, O_NONBLOCK | O_ASYNC);
	if (one_in(2))
		drain(&w, 0, &last);
	if (one_in(4))
		copy = dup(w.fd);
	watcher_close(&w);
	if (copy >= 0)
		CHECK(!close(copy));
}

/* Through a socket: the file's last user may be a message nobody reads. */
static void pass_on(void)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { .iov_base = control, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	struct watcher w;
	int pair[2];
	size_t len;
	char *start = random_span(&len);

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair))
		return;
	watcher_open(&w, O_NONBLOCK);
	CHECK(!watch(&w, start, len, 1, 1));
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &w.fd, sizeof(int));
	sendmsg(pair[0], &msg, 0);
	watcher_close(&w);
	close(pair[0]);
	close(pair[1]);
}

/* A child of threads: system calls only. */
static void in_child(void)
{
	const struct watcher *w = &shared[below(SHARED)];
	struct ummunotify_register_ioctl reg = { .end = -1 };
	struct ummunotify_event ev;
	__u64 cookie = COOKIE_TAG;
	size_t len;
	char *start = random_span(&len), *p;
	int fd;

	CHECK(ioctl(w->fd, UMMUNOTIFY_REGISTER_REGION, &reg) == -1 &&
	      errno == EIO);
	CHECK(ioctl(w->fd, UMMUNOTIFY_UNREGISTER_REGION, &cookie) == -1 &&
	      errno == EIO);
	CHECK(read(w->fd, &ev, sizeof(ev)) == -1 && errno == EIO);
	touch(start, len);
	fd = open(DEVICE, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK(!ioctl(fd, UMMUNOTIFY_REGISTER_REGION, &reg));
	p = mmap(NULL, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED);
	CHECK(!munmap(p, page));
	CHECK(read(fd, &ev, sizeof(ev)) == sizeof(ev));
	if (one_in(2))
		close(fd);
	_exit(0);
}

static void fork_one(void)
{
	pid_t pid = fork_child();
	bool killed = one_in(4);

	if (!pid)
		in_child();
	CHECK(pid > 0);
	if (killed)
		kill(pid, SIGKILL);
	CHECK(child_passed(pid) || killed);
}

/* What a thread checks on memory and a file of its own. */

static char *own_memory(void)
{
	char *p = mmap(NULL, OWN_PAGES * page, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	memset(p, 1, OWN_PAGES * page);
	return p;
}

/* What is no longer ours afterwards: others may have mapped it already. */
enum hole { NO_HOLE, ONE_PAGE, ALL_PAGES };

/* Changes what page 2 maps to. */
static enum hole zap(char *own)
{
	char *p = own + 2 * page;

	switch (below(5)) {
	case 0:
		CHECK(!munmap(p, page));
		return ONE_PAGE;
	case 1:
		CHECK(mmap(p, page, PROT_READ, MAP_FIXED | MAP_PRIVATE |
			   MAP_ANONYMOUS, -1, 0) == p);
		return NO_HOLE;
	case 2:
		CHECK(!madvise(p, page, MADV_DONTNEED));
		return NO_HOLE;
	case 3:
		CHECK(mremap(p, page, page, MREMAP_MAYMOVE | MREMAP_FIXED,
			     own) == own);
		return ONE_PAGE;
	default:
		CHECK(!munmap(own, OWN_PAGES * page));
		return ALL_PAGES;
	}
}

static void check_own(struct watcher *w)
{
	char *own = own_memory();
	__u64 last = 0, before;
	enum hole hole;
	__u32 word;

	CHECK(!watch(w, own, OWN_PAGES * page, OWN_COOKIE, OWN_SLOT));
	CHECK(watch(w, own, page, OWN_COOKIE, OWN_SLOT) == -1);
	drain(w, OWN_COOKIE, &last);
	before = counter_of(w);
	word = word_of(w);
	if (one_in(4)) {
		CHECK(!unwatch(w, OWN_COOKIE));
		hole = zap(own);
		CHECK(!drain(w, OWN_COOKIE, &last));
	} else {
		bool early = one_in(3);

		hole = zap(own);
		CHECK(counter_of(w) != before);
		if (w->words)
			CHECK(word_of(w) != word);
		if (early)	/* the event goes, LAST stays */
			CHECK(!unwatch(w, OWN_COOKIE));
		CHECK(drain(w, OWN_COOKIE, &last) == !early);
		CHECK(last > before);
		if (!early)
			CHECK(!unwatch(w, OWN_COOKIE));
	}
	CHECK(unwatch(w, OWN_COOKIE) == -1);

	if (hole == NO_HOLE)
		CHECK(!munmap(own, OWN_PAGES * page));
	if (hole != ONE_PAGE)
		return;
	CHECK(!munmap(own, 2 * page));
	CHECK(!munmap(own + 3 * page, (OWN_PAGES - 3) * page));
}

static void *worker(void *arg)
{
	unsigned long done = 0;
	struct watcher own;

	random_start((uintptr_t)arg);
	trap = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(trap != MAP_FAILED);
	CHECK(!mprotect(trap + page, page, PROT_NONE));
	watcher_open(&own, O_NONBLOCK);
	for (; !stop; done++) {
		switch (below(32)) {
		case 0:
			fork_one();
			break;
		case 1:
			open_and_close();
			break;
		case 2:
			pass_on();
			break;
		case 3 ... 8:
			check_own(&own);
			break;
		case 9 ... 15:
			read_shared();
			break;
		case 16 ... 23:
			change_watches();
			break;
		default:
			change_arena();
		}
	}
	watcher_close(&own);
	CHECK(!munmap(trap, 2 * page));
	fail_nth_forget();
	__atomic_fetch_add(&operations, done, __ATOMIC_RELAXED);
	return NULL;
}

/* Blocks in read() until the round is over, and longer than that. */
static void *blocking_reader(void *arg)
{
	const struct watcher *w = arg;
	struct ummunotify_event ev[4];

	while (!stop) {
		ssize_t n = read(w->fd, ev, sizeof(ev));

		CHECK(n > 0 && n % sizeof(*ev) == 0);
	}
	return NULL;
}

/* Nobody else is there: LAST catches up with the counter. */
static void check_quiet(struct watcher *w)
{
	double limit = now() + 5;
	__u64 last;

	/* The kernel's own threads may still move pages of the arena. */
	do {
		CHECK(now() < limit);
		drain(w, 0, &last);
	} while (w->last != counter_of(w));
}

static void run_round(unsigned int number)
{
	pthread_t thread[opt.threads], reader;
	struct watcher blocking;
	double end = now() + ROUND_SECONDS;
	char *last;

	stop = false;
	remap(arena, ARENA_PAGES * page, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	for (int i = 0; i < SHARED; i++)
		watcher_open(&shared[i], O_NONBLOCK);
	watcher_open(&blocking, 0);
	last = own_memory();
	CHECK(!watch(&blocking, arena, ARENA_PAGES * page, 1, 1));
	CHECK(!watch(&blocking, last, page, 2, 2));
	CHECK(!pthread_create(&reader, NULL, blocking_reader, &blocking));
	for (uintptr_t i = 0; i < opt.threads; i++)
		CHECK(!pthread_create(&thread[i], NULL, worker,
				      (void *)(((uintptr_t)getpid() << 32) +
					       number * opt.threads + i)));
	while (now() < end)
		sleep_us(20000);
	stop = true;
	for (unsigned int i = 0; i < opt.threads; i++)
		CHECK(!pthread_join(thread[i], NULL));
	munmap(last, OWN_PAGES * page);
	CHECK(!pthread_join(reader, NULL));
	watcher_close(&blocking);

	for (int i = 0; i < SHARED; i++) {
		check_quiet(&shared[i]);
		watcher_close(&shared[i]);
	}
}

static int run_process(unsigned int number, double end)
{
	random_start(number);
	zero_fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	CHECK(zero_fd >= 0);
	signal(SIGIO, SIG_IGN);
	for (unsigned int round = 0; now() < end; round++)
		run_round(round);
	printf("# process %u: %lu operations\n", number, operations);
	return 0;
}

int main(int argc, char **argv)
{
	pid_t pid[PROCESSES], victim;
	bool passed = true;
	double end;
	int status;

	options_parse(argc, argv, "ummunotify_stress");
	random_start(-1);
	alarm(opt.seconds * 5 + 120);
	end = now() + opt.seconds;
	for (unsigned int i = 0; i < PROCESSES; i++) {
		pid[i] = fork_child();
		CHECK(pid[i] >= 0);
		if (!pid[i])
			exit(run_process(i, end));
	}
	/* One more, which is killed wherever its threads happen to be. */
	for (unsigned int i = PROCESSES; passed && now() < end; i++) {
		victim = fork_child();
		CHECK(victim >= 0);
		if (!victim)
			exit(run_process(i, end + 3600));
		sleep_us(100000 + below(1000000));
		kill(victim, SIGKILL);
		CHECK(waitpid(victim, &status, 0) == victim);
		passed &= WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	}
	for (unsigned int i = 0; i < PROCESSES; i++)
		passed &= child_passed(pid[i]);
	return report(passed);
}
