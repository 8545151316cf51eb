// SPDX-License-Identifier: MIT
/*
 * What UCX's registration cache costs, with a registrar that does nothing. Reads commands, a line each, and answers
 * each with a number:
 *
 *   hit    ns to get and put a cached range, the mean of OPERATIONS in random order
 *   churn  ns to get and put a range that is not cached while the cache is full: insert one, evict the oldest; of a
 *          fifth as many
 *
 * ucx RANGES BYTES OPERATIONS [inline]
 *
 * inline: hits not of the cache but of its page table with regions that are counted and kept in order in line, without
 * any lock: what UCX has since 1.14 for callers that hold one of their own, and less than 1.13.1 offers. No churn.
 */
#define _GNU_SOURCE
#include <ucm/api/ucm.h>
#include <ucs/datastruct/list.h>
#include <ucs/datastruct/pgtable.h>
#include <ucs/memory/rcache.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static ucs_rcache_t *cache;
static char *memory;
static size_t ranges, bytes, operations;
static size_t next;	/* the first that is not cached */
static bool in_line;

static void die(const char *what)
{
	fprintf(stderr, "ucx: %s\n", what);
	exit(1);
}

static ucs_status_t reg(void *context, ucs_rcache_t *rcache, void *arg, ucs_rcache_region_t *region, uint16_t flags)
{
	return UCS_OK;
}

static void dereg(void *context, ucs_rcache_t *rcache, ucs_rcache_region_t *region)
{
}

static void dump(void *context, ucs_rcache_t *rcache, ucs_rcache_region_t *region, char *buf, size_t max)
{
	*buf = '\0';
}

static const ucs_rcache_ops_t ops = { .mem_reg = reg, .mem_dereg = dereg, .dump_region = dump };

static void create(void)
{
	ucs_rcache_params_t params = {
		.region_struct_size = sizeof(ucs_rcache_region_t),
		.alignment = UCS_RCACHE_MIN_ALIGNMENT,
		.max_alignment = getpagesize(),
		.ucm_events = UCM_EVENT_VM_UNMAPPED,
		.ucm_event_priority = 1000,
		.ops = &ops,
		.flags = 0,	/* with NO_PFN_CHECK 1.13.1 never evicts; the check itself is off by default */
		.max_regions = ranges,
		.max_size = SIZE_MAX,
		.max_unreleased = SIZE_MAX,
	};

	if (ucs_rcache_create(&params, "bench", NULL, &cache) != UCS_OK)
		die("could not create a cache");
}

static inline void get_and_put(void *address)
{
	ucs_rcache_region_t *region;

	if (ucs_rcache_get(cache, address, bytes, PROT_READ | PROT_WRITE, NULL, &region) != UCS_OK)
		die("could not get a range");
	ucs_rcache_region_put(cache, region);
}

/* The same without a cache around the page table. */
struct region {
	ucs_pgt_region_t super;
	ucs_list_link_t lru;	/* idle ones only */
	uint32_t uses;
	int prot;
};

static ucs_pgtable_t table;
static UCS_LIST_HEAD(idle);
static ucs_queue_head_t invalidated = { .ptail = &invalidated.head };

static ucs_pgt_dir_t *alloc_dir(const ucs_pgtable_t *pgtable)
{
	void *dir;

	return posix_memalign(&dir, 64, sizeof(ucs_pgt_dir_t)) ? NULL : dir;
}

static void release_dir(const ucs_pgtable_t *pgtable, ucs_pgt_dir_t *dir)
{
	free(dir);
}

static void create_inline(void)
{
	if (ucs_pgtable_init(&table, alloc_dir, release_dir) != UCS_OK)
		die("could not create a page table");
	for (size_t i = 0; i < ranges; i++) {
		struct region *region = aligned_alloc(64, 64);

		if (region == NULL)
			die("out of memory");
		region->super.start = (uintptr_t)memory + i * bytes;
		region->super.end = region->super.start + bytes;
		region->uses = 0;
		region->prot = PROT_READ | PROT_WRITE;
		ucs_list_add_tail(&idle, &region->lru);
		if (ucs_pgtable_insert(&table, &region->super) != UCS_OK)
			die("could not insert a range");
	}
}

static inline void get_and_put_inline(void *address)
{
	uintptr_t start = (uintptr_t)address;
	struct region *region = (struct region *)ucs_pgtable_lookup(&table, start);
	const int prot = PROT_READ | PROT_WRITE;

	/* As the cache looks whether something was unmapped. */
	if (*(ucs_queue_elem_t *volatile *)&invalidated.head != NULL || region == NULL ||
	    region->super.end < start + bytes || (region->prot & prot) != prot)
		die("could not find a range");
	if (region->uses++ == 0)
		ucs_list_del(&region->lru);
	/* The compiler must not think that nothing happens in between. */
	__asm__ volatile("" ::: "memory");
	if (--region->uses == 0)
		ucs_list_add_tail(&idle, &region->lru);
}

/* CPU time, so that what else the machine does counts for less. */
static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

static double hit(char *const *picks)
{
	double start = now_ns();

	if (in_line) {
		for (size_t i = 0; i < operations; i++)
			get_and_put_inline(picks[i]);
	} else {
		for (size_t i = 0; i < operations; i++)
			get_and_put(picks[i]);
	}
	return (now_ns() - start) / operations;
}

/* Twice as many ranges as the cache may hold, one after the other: none is there when its turn comes. */
static double churn(void)
{
	size_t some = operations / 5;
	double start = now_ns();

	for (size_t i = 0; i < some; i++) {
		get_and_put(memory + next * bytes);
		next = next + 1 == 2 * ranges ? 0 : next + 1;
	}
	return (now_ns() - start) / some;
}

int main(int argc, char **argv)
{
	uint32_t random = 2463534242u;
	char **picks, command[16];

	if (argc != 4 && (argc != 5 || strcmp(argv[4], "inline") != 0))
		die("usage: ucx RANGES BYTES OPERATIONS [inline]");
	in_line = argc == 5;
	ranges = strtoul(argv[1], NULL, 10);
	bytes = strtoul(argv[2], NULL, 10);
	operations = strtoul(argv[3], NULL, 10);
	memory = mmap(NULL, 2 * ranges * bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	picks = malloc(operations * sizeof(*picks));
	if (memory == MAP_FAILED || picks == NULL)
		die("out of memory");
	for (size_t i = 0; i < operations; i++) {	/* xorshift32 */
		random ^= random << 13;
		random ^= random >> 17;
		random ^= random << 5;
		picks[i] = memory + random % ranges * bytes;
	}
	if (in_line) {
		create_inline();
	} else {
		create();
		for (size_t i = 0; i < ranges; i++)
			get_and_put(memory + i * bytes);
	}
	next = ranges;
	setlinebuf(stdout);
	while (fgets(command, sizeof(command), stdin) != NULL) {
		if (strcmp(command, "hit\n") == 0)
			printf("%.3f\n", hit(picks));
		else if (strcmp(command, "churn\n") == 0 && !in_line)
			printf("%.3f\n", churn());
		else
			die("unknown command");
	}
	return 0;
}
