// SPDX-License-Identifier: MIT
/*
 * What UCX's registration cache costs, with a registrar that does nothing. Reads commands, a line each, and answers
 * each with a number:
 *
 *   hit    ns to get and put a cached range, the mean of OPERATIONS in random order
 *   churn  ns to get and put a range that is not cached while the cache is full: insert one, evict the oldest; of a
 *          fifth as many
 *
 * ucx RANGES BYTES OPERATIONS
 */
#define _GNU_SOURCE
#include <ucm/api/ucm.h>
#include <ucs/memory/rcache.h>

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

static inline void get_and_put(size_t index)
{
	ucs_rcache_region_t *region;

	if (ucs_rcache_get(cache, memory + index * bytes, bytes, PROT_READ | PROT_WRITE, NULL, &region) != UCS_OK)
		die("could not get a range");
	ucs_rcache_region_put(cache, region);
}

/* CPU time, so that what else the machine does counts for less. */
static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

static double hit(const uint32_t *picks)
{
	double start = now_ns();

	for (size_t i = 0; i < operations; i++)
		get_and_put(picks[i]);
	return (now_ns() - start) / operations;
}

/* Twice as many ranges as the cache may hold, one after the other: none is there when its turn comes. */
static double churn(void)
{
	size_t some = operations / 5;
	double start = now_ns();

	for (size_t i = 0; i < some; i++) {
		get_and_put(next);
		next = next + 1 == 2 * ranges ? 0 : next + 1;
	}
	return (now_ns() - start) / some;
}

int main(int argc, char **argv)
{
	uint32_t *picks, random = 2463534242u;
	char command[16];

	if (argc != 4)
		die("usage: ucx RANGES BYTES OPERATIONS");
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
		picks[i] = random % ranges;
	}
	create();
	for (size_t i = 0; i < ranges; i++)
		get_and_put(i);
	next = ranges;
	setlinebuf(stdout);
	while (fgets(command, sizeof(command), stdin) != NULL) {
		if (strcmp(command, "hit\n") == 0)
			printf("%.3f\n", hit(picks));
		else if (strcmp(command, "churn\n") == 0)
			printf("%.3f\n", churn());
		else
			die("unknown command");
	}
	return 0;
}
