// SPDX-License-Identifier: GPL-2.0
/*
 * Random calls of one thread, each answer of which is known: a model keeps
 * which ranges are watched and what is pending for each. After every step the
 * results, the events, the counter and the generation words are those of the
 * model. With failures a call that was made to fail has changed nothing.
 *
 * ummunotify_model [-s seed] [-t seconds] [-f]
 */
#define _GNU_SOURCE
#include "load.h"

#include <poll.h>

/*
 * The memory that is watched and changed: a file, as mappings of one are always
 * merged with their neighbours, so that it is known how many there are. The
 * page in front keeps the page table, which mprotect() looks for.
 */
#define ARENA_ADDRESS	((char *)0x10000000000)
#define ARENA_PAGES	24
#define COOKIES		24
#define RIGHTS		(PROT_READ | PROT_WRITE)
/* Steps until the file is closed and another one opened, on average. */
#define STEPS_OF_FILE	400

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof(*(a)))

static const __u32 slots[] = {
	0, 1, 1023, 1024, UMMUNOTIFY_SLOTS - 1, UMMUNOTIFY_NO_SLOT,
};

#define WORDS		(ARRAY_SIZE(slots) - 1)

struct range {
	bool watched;
	__u64 start;
	__u64 end;
	__u64 number;	/* of its REGISTER: equal starts are told in order */
	unsigned int slot;
	bool pending;
	struct ummunotify_event event;
};

/* What the driver should know. */
static struct {
	struct range ranges[COOKIES];
	struct range *queue[COOKIES];
	unsigned int pending;
	__u64 registered;
	__u64 count;
	__u32 words[WORDS];
	__u32 features;
	bool readable;
	bool started;
} model;

/* Rights of each page; a hole has none. */
static int rights[ARENA_PAGES];

static int fd, memory_fd;
static volatile __u64 *counter;
static volatile __u32 *words;
static char *bad;	/* a page that can be written, and one that cannot */
static unsigned long step, delivered;
static const char *doing;

#define EXPECT(a, b) do {						\
	long long _a = (long long)(a), _b = (long long)(b);		\
									\
	if (_a != _b)							\
		die("step %lu, %s: %s is %lld (%#llx), not %lld (%#llx)", \
		    step, doing, #a, _a, _a, _b, _b);			\
} while (0)

/* One that is made to fail is made again. Gives 0 or more, or -errno. */
#define CALL(call) ({							\
	long _r;							\
									\
	do {								\
		fault_before();						\
		_r = (call);						\
	} while (fault_after() && _r < 0 &&				\
		 (errno == ENOMEM || errno == EFAULT));			\
	_r < 0 ? -errno : _r;						\
})

static char *page_at(unsigned int n)
{
	return ARENA_ADDRESS + n * page;
}

static __u64 cookie_of(unsigned int n)
{
	return n % 2 ? -(__u64)n : n;
}

static void *bad_pointer(void)
{
	return one_in(2) ? NULL : bad + page;
}

/* The model of an invalidation */

static void hit(struct range *range, __u64 start, __u64 end, __u32 kind)
{
	struct ummunotify_event *event = &range->event;

	if (range->slot < WORDS)
		model.words[range->slot]++;
	if (!range->pending) {
		*event = (struct ummunotify_event) {
			.flags = kind | UMMUNOTIFY_EVENT_FLAG_HINT,
			.hint_start = start > range->start ?
				      start : range->start,
			.hint_end = end < range->end ? end : range->end,
		};
		range->pending = true;
		model.queue[model.pending++] = range;
	} else {
		event->flags = (event->flags | kind) &
			       ~UMMUNOTIFY_EVENT_FLAG_HINT;
		event->hint_start = range->start;
		event->hint_end = range->end;
	}
}

/* By address, and among equals by age. */
static struct range *next_of(const struct range *last, __u64 start, __u64 end)
{
	struct range *next = NULL;

	for (struct range *r = model.ranges; r < model.ranges + COOKIES; r++) {
		if (!r->watched || r->start >= r->end || r->start >= end ||
		    r->end <= start)
			continue;
		if (last && (r->start < last->start ||
			     (r->start == last->start &&
			      r->number <= last->number)))
			continue;
		if (!next || r->start < next->start ||
		    (r->start == next->start && r->number < next->number))
			next = r;
	}
	return next;
}

static void invalidate(unsigned int first, unsigned int last, __u32 kind)
{
	__u64 start = (uintptr_t)page_at(first);
	__u64 end = (uintptr_t)page_at(last);
	struct range *range = next_of(NULL, start, end);

	if (!range)
		return;
	for (; range; range = next_of(range, start, end))
		hit(range, start, end, kind);
	model.count++;
	model.readable = true;
}

static void forget(struct range *range)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < model.pending; i++)
		if (model.queue[i] != range)
			model.queue[kept++] = model.queue[i];
	model.pending = kept;
	range->pending = false;
	range->watched = false;
}

/* Changes of the memory */

/* Pages of one kind, or of several if they are all mapped; [first, last). */
static bool any_pages(unsigned int *first, unsigned int *last, bool mapped,
		      bool alike)
{
	unsigned int n = 1 + below(one_in(4) ? ARENA_PAGES : 4);
	int kind;

	*first = below(ARENA_PAGES);
	kind = rights[*first];
	if (!kind == mapped)
		return false;
	for (*last = *first; *last < ARENA_PAGES && n--; ++*last)
		if (alike ? rights[*last] != kind : !rights[*last] == mapped)
			break;
	return true;
}

static void set_rights(unsigned int first, unsigned int last, int prot)
{
	while (first < last)
		rights[first++] = prot;
}

static void map_pages(unsigned int first, unsigned int last, int prot)
{
	char *p = page_at(first);

	CHECK(mmap(p, (last - first) * page, prot, MAP_SHARED | MAP_FIXED |
		   MAP_POPULATE, memory_fd, p - ARENA_ADDRESS + page) == p);
	set_rights(first, last, prot);
}

static void do_munmap(void)
{
	unsigned int first, last;

	if (!any_pages(&first, &last, true, false))
		return;
	CHECK(!munmap(page_at(first), (last - first) * page));
	set_rights(first, last, 0);
	invalidate(first, last, UMMUNOTIFY_KIND_UNMAP);
}

static void do_map_over(void)
{
	unsigned int first, last;

	if (!any_pages(&first, &last, true, false))
		return;
	map_pages(first, last, one_in(4) ? PROT_READ : RIGHTS);
	invalidate(first, last, UMMUNOTIFY_KIND_UNMAP);
}

/* Where nothing was, nothing is invalidated. */
static void do_map_hole(void)
{
	unsigned int first, last;

	if (any_pages(&first, &last, false, false))
		map_pages(first, last, one_in(4) ? PROT_READ : RIGHTS);
}

/* Each mapping by itself, those that have the rights already not at all. */
static void do_mprotect(void)
{
	int prot = one_in(2) ? PROT_READ : RIGHTS;
	unsigned int first, last, end;

	if (!any_pages(&first, &last, true, false))
		return;
	CHECK(!mprotect(page_at(first), (last - first) * page, prot));
	for (; first < last; first = end) {
		for (end = first; end < last && rights[end] == rights[first];)
			end++;
		if (rights[first] != prot)
			invalidate(first, end, UMMUNOTIFY_KIND_PROTECTION);
		set_rights(first, end, prot);
	}
}

/* Each mapping by itself. */
static void do_dontneed(void)
{
	unsigned int first, last, end;

	if (!any_pages(&first, &last, true, false))
		return;
	CHECK(!madvise(page_at(first), (last - first) * page, MADV_DONTNEED));
	for (; first < last; first = end) {
		for (end = first; end < last && rights[end] == rights[first];)
			end++;
		invalidate(first, end, UMMUNOTIFY_KIND_CLEAR);
	}
}

/*
 * From behind, through the file. In which order it goes through several
 * mappings is not known.
 */
static void do_punch(void)
{
	unsigned int first, last;

	if (!any_pages(&first, &last, true, true))
		return;
	CHECK(!fallocate(memory_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 (first + 1) * page, (last - first) * page));
	invalidate(first, last, UMMUNOTIFY_KIND_CLEAR);
}

/* The child has the file and the addresses, but is another process. */
static void do_fork(void)
{
	struct ummunotify_event ev;
	__u64 cookie = cookie_of(0);
	pid_t pid = fork_child();

	CHECK(pid >= 0);
	if (!pid) {
		CHECK(read(fd, &ev, sizeof(ev)) < 0 && errno == EIO);
		CHECK(ioctl(fd, UMMUNOTIFY_UNREGISTER_REGION, &cookie) < 0 &&
		      errno == EIO);
		munmap(ARENA_ADDRESS, ARENA_PAGES * page);
		_exit(0);
	}
	CHECK(child_passed(pid));
}

/* Calls of the driver */

static void do_register(void)
{
	unsigned int n = below(COOKIES), slot = below(ARRAY_SIZE(slots));
	struct range *range = &model.ranges[n];
	__u64 arena = (uintptr_t)ARENA_ADDRESS;
	struct ummunotify_register_ioctl reg = {
		.start = arena + below(ARENA_PAGES) * page,
		.user_cookie = cookie_of(n),
		.flags = random_u64(),
		.reserved = slots[slot],
	};
	bool words_on = model.features & UMMUNOTIFY_FEATURE_GENERATION;
	bool no_slot = one_in(16), no_pointer = one_in(16);
	long ret;

	reg.end = reg.start + (1 + below(4)) * page;
	/* Not whole pages; empty; reversed; all of it. */
	if (one_in(3))
		reg.start += below(2 * page) - page;
	if (one_in(3))
		reg.end += below(2 * page) - page;
	if (one_in(8)) {
		reg.start = arena - page;
		reg.end = arena + (ARENA_PAGES + 1) * page;
	}
	if (no_slot)
		reg.reserved = UMMUNOTIFY_SLOTS + below(1000);

	ret = CALL(ioctl(fd, UMMUNOTIFY_REGISTER_REGION,
			 no_pointer ? bad_pointer() : &reg));
	if (no_pointer) {
		EXPECT(ret, -EFAULT);
		return;
	}
	model.started = true;
	if (range->watched || (no_slot && words_on)) {
		EXPECT(ret, -EINVAL);
		return;
	}
	EXPECT(ret, 0);
	*range = (struct range) {
		.watched = true,
		.start = reg.start,
		.end = reg.end,
		.number = model.registered++,
		.slot = words_on ? slot : WORDS,
	};
}

static void do_unregister(void)
{
	unsigned int n = below(COOKIES);
	__u64 cookie = cookie_of(n);

	if (one_in(16)) {
		EXPECT(CALL(ioctl(fd, UMMUNOTIFY_UNREGISTER_REGION,
				  bad_pointer())), -EFAULT);
		return;
	}
	if (one_in(16)) {
		cookie = cookie_of(COOKIES) + below(1000) * 2;
		n = COOKIES;
	}
	EXPECT(CALL(ioctl(fd, UMMUNOTIFY_UNREGISTER_REGION, &cookie)),
	       n < COOKIES && model.ranges[n].watched ? 0 : -EINVAL);
	if (n < COOKIES)
		forget(&model.ranges[n]);
}

static void do_batch(void)
{
	__u64 cookies[COOKIES];
	unsigned int which[COOKIES];
	struct ummunotify_batch batch = {
		.cookies = (uintptr_t)cookies,
		.count = below(COOKIES + 1),
	};
	long expected = 0;

	for (unsigned int i = 0; i < COOKIES; i++) {
		which[i] = below(COOKIES);
		cookies[i] = cookie_of(which[i]);
	}
	switch (below(16)) {
	case 0:
		batch.count = UMMUNOTIFY_BATCH_MAX + 1 + below(1000);
		expected = -EINVAL;
		break;
	case 1:
		batch.reserved = 1 + below(1000);
		expected = -EINVAL;
		break;
	case 2:
		batch.cookies = (uintptr_t)bad + page;
		expected = batch.count ? -EFAULT : 0;
		break;
	}
	if (!(model.features & UMMUNOTIFY_FEATURE_BATCH))
		expected = -ENOTTY;
	else if (!expected && batch.cookies == (uintptr_t)cookies)
		for (unsigned int i = 0; i < batch.count; i++) {
			struct range *range = &model.ranges[which[i]];

			expected += range->watched;
			forget(range);
		}
	EXPECT(CALL(ioctl(fd, UMMUNOTIFY_UNREGISTER_BATCH, &batch)), expected);
}

static void do_exchange(void)
{
	__u32 features = below(16);
	__u32 word = UMMUNOTIFY_FEATURE_TAG | features | below(2) << 15;
	__u32 answer = UMMUNOTIFY_FEATURE_TAG | features;

	if (one_in(8)) {
		EXPECT(CALL(ioctl(fd, UMMUNOTIFY_EXCHANGE_FEATURES,
				  bad_pointer())), -EFAULT);
		return;
	}
	/* An old client's word, which was never set. */
	if (one_in(8)) {
		word ^= 1U << (16 + below(16));
		features = 0;
		answer = 0;
	}
	if (model.started) {
		EXPECT(CALL(ioctl(fd, UMMUNOTIFY_EXCHANGE_FEATURES, &word)),
		       -EINVAL);
		return;
	}
	EXPECT(CALL(ioctl(fd, UMMUNOTIFY_EXCHANGE_FEATURES, &word)), 0);
	EXPECT(word, answer);
	model.features = features;
	model.started = true;
	if (features & UMMUNOTIFY_FEATURE_GENERATION) {
		words = mmap(NULL, UMMUNOTIFY_SLOTS * sizeof(__u32), PROT_READ,
			     MAP_SHARED, fd, page);
		CHECK(words != MAP_FAILED);
	}
}

/* What a read of so many records has to give; returns how many. */
static unsigned int take(struct ummunotify_event *ev, unsigned int max)
{
	bool kinds = model.features & UMMUNOTIFY_FEATURE_KIND;
	unsigned int n = 0;

	for (; n < max && n < model.pending; n++) {
		struct range *range = model.queue[n];

		ev[n] = range->event;
		ev[n].user_cookie_counter =
			cookie_of(range - model.ranges);
		if (!kinds)
			ev[n].flags &= ~UMMUNOTIFY_KIND_MASK;
		range->pending = false;
	}
	model.pending -= n;
	memmove(model.queue, model.queue + n,
		model.pending * sizeof(*model.queue));
	if (n < max && model.readable) {
		model.readable = false;
		ev[n++] = (struct ummunotify_event) {
			.type = UMMUNOTIFY_EVENT_TYPE_LAST,
			.user_cookie_counter = model.count,
		};
	}
	return n;
}

static void do_read(void)
{
	struct ummunotify_event got[COOKIES + 1], expected[COOKIES + 1];
	size_t size = one_in(4) ? below(sizeof(got) + 1) : sizeof(got);
	unsigned int n;
	long ret;

	if (size < sizeof(*got)) {
		EXPECT(CALL(read(fd, got, size)), -EINVAL);
		return;
	}
	model.started = true;
	if (!model.readable) {
		EXPECT(CALL(read(fd, got, size)), -EAGAIN);
		return;
	}
	/* The first record fits, the second does not. */
	if (one_in(8)) {
		char *p = bad + page - sizeof(*got);

		if (one_in(2) || !model.pending || size < 2 * sizeof(*got))
			p = bad + page;
		EXPECT(CALL(read(fd, p, size)), -EFAULT);
		return;
	}
	memset(got, 0x55, sizeof(got));
	ret = CALL(read(fd, got, size));
	n = take(expected, size / sizeof(*got));
	EXPECT(ret, n * sizeof(*got));
	for (unsigned int i = 0; i < n; i++) {
		EXPECT(got[i].type, expected[i].type);
		EXPECT(got[i].user_cookie_counter,
		       expected[i].user_cookie_counter);
		EXPECT(got[i].flags, expected[i].flags);
		EXPECT(got[i].hint_start, expected[i].hint_start);
		EXPECT(got[i].hint_end, expected[i].hint_end);
	}
	delivered += n;
}

static void open_file(void)
{
	memset(&model, 0, sizeof(model));
	words = NULL;
	fd = CALL(open(DEVICE, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
	CHECK(fd >= 0);
	counter = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(counter != MAP_FAILED);
}

static void close_file(void)
{
	if (words)
		CHECK(!munmap((void *)words,
			      UMMUNOTIFY_SLOTS * sizeof(__u32)));
	CHECK(!munmap((void *)counter, page));
	CHECK(!close(fd));
}

static void check_state(void)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN | POLLRDNORM };

	EXPECT(*counter, model.count);
	EXPECT(poll(&pfd, 1, 0), model.readable);
	if (model.readable)
		EXPECT(pfd.revents, POLLIN | POLLRDNORM);
	for (unsigned int i = 0; words && i < WORDS; i++)
		EXPECT(words[slots[i]], model.words[i]);
}

#define KIND(name) { #name, do_ ## name }

static void one_step(void)
{
	static const struct {
		const char *name;
		void (*fn)(void);
	} kinds[] = {
		KIND(register), KIND(register), KIND(register), KIND(register),
		KIND(unregister), KIND(batch), KIND(exchange), KIND(read),
		KIND(read), KIND(read), KIND(munmap), KIND(map_over),
		KIND(map_hole), KIND(map_hole), KIND(mprotect),
		KIND(dontneed), KIND(punch),
	};
	unsigned int n = below(ARRAY_SIZE(kinds));

	step++;
	doing = kinds[n].name;
	kinds[n].fn();
	check_state();
	if (one_in(1000)) {
		doing = "fork";
		do_fork();
		check_state();
	}
}

int main(int argc, char **argv)
{
	double end;

	options_parse(argc, argv, "ummunotify_model");
	alarm(opt.seconds * 5 + 120);
	random_start(0);
	memory_fd = memfd_create("memory", MFD_CLOEXEC);
	CHECK(memory_fd >= 0);
	CHECK(!ftruncate(memory_fd, (ARENA_PAGES + 1) * page));
	CHECK(mmap(ARENA_ADDRESS - page, page, RIGHTS, MAP_SHARED | MAP_FIXED |
		   MAP_POPULATE, memory_fd, 0) != MAP_FAILED);
	map_pages(0, ARENA_PAGES, RIGHTS);
	bad = mmap(NULL, 2 * page, RIGHTS, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(bad != MAP_FAILED);
	CHECK(!mprotect(bad + page, page, PROT_NONE));

	open_file();
	for (end = now() + opt.seconds; now() < end;) {
		one_step();
		if (one_in(STEPS_OF_FILE)) {
			close_file();
			open_file();
		}
	}
	close_file();
	printf("# %lu steps, %lu records read\n", step, delivered);
	return report(delivered > 0);
}
