/* SPDX-License-Identifier: MIT */
/* UCX's own registration cache, libucs's rcache with libucm's hooks, over ibv_reg_mr. */
#include <ucm/api/ucm.h>
#include <ucs/memory/rcache.h>

#include <errno.h>
#include <infiniband/verbs.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct cache {
	ucs_rcache_t *rcache;
	struct ibv_pd *pd;
	uint32_t registrations;
	int error;	/* of the last that could not be made */
};

struct region {
	ucs_rcache_region_t super;
	struct ibv_mr *mr;
};

static ucs_status_t reg(void *context, ucs_rcache_t *rcache, void *arg, ucs_rcache_region_t *super, uint16_t flags)
{
	struct region *region = (struct region *)super;
	struct cache *cache = context;
	size_t length = super->super.end - super->super.start;

	region->mr = ibv_reg_mr(cache->pd, (void *)super->super.start, length, IBV_ACCESS_LOCAL_WRITE);
	if (region->mr == NULL) {
		cache->error = errno;
		return UCS_ERR_IO_ERROR;
	}
	cache->registrations++;
	return UCS_OK;
}

static void dereg(void *context, ucs_rcache_t *rcache, ucs_rcache_region_t *region)
{
	ibv_dereg_mr(((struct region *)region)->mr);
}

static void dump(void *context, ucs_rcache_t *rcache, ucs_rcache_region_t *region, char *buf, size_t max)
{
	*buf = '\0';
}

static const ucs_rcache_ops_t ops = { .mem_reg = reg, .mem_dereg = dereg, .dump_region = dump };

/* With the settings of UCX's transports over InfiniBand. NULL and errno when it cannot be had. */
struct cache *coverage_ucx_open(struct ibv_pd *pd)
{
	struct cache *cache = calloc(1, sizeof(*cache));
	ucs_rcache_params_t params = {
		.region_struct_size = sizeof(struct region),
		.alignment = UCS_RCACHE_MIN_ALIGNMENT,
		.max_alignment = getpagesize(),
		.ucm_events = UCM_EVENT_VM_UNMAPPED,
		.ucm_event_priority = 1000,
		.ops = &ops,
		.context = cache,
		.flags = UCS_RCACHE_FLAG_PURGE_ON_FORK,
		.max_regions = ULONG_MAX,
		.max_size = SIZE_MAX,
		.max_unreleased = SIZE_MAX,
	};

	if (cache == NULL)
		return NULL;
	cache->pd = pd;
	if (ucs_rcache_create(&params, "coverage", NULL, &cache->rcache) == UCS_OK)
		return cache;
	free(cache);
	errno = ENOTSUP;
	return NULL;
}

void coverage_ucx_close(struct cache *cache)
{
	ucs_rcache_destroy(cache->rcache);
	free(cache);
}

uint32_t coverage_ucx_registrations(const struct cache *cache)
{
	return cache->registrations;
}

/* NULL and errno when it cannot be registered. */
struct region *coverage_ucx_get(struct cache *cache, uintptr_t address, size_t length, uint32_t *lkey)
{
	ucs_rcache_region_t *region;

	cache->error = EIO;
	if (ucs_rcache_get(cache->rcache, (void *)address, length, PROT_READ | PROT_WRITE, NULL, &region) != UCS_OK) {
		errno = cache->error;
		return NULL;
	}
	*lkey = ((struct region *)region)->mr->lkey;
	return (struct region *)region;
}

void coverage_ucx_put(struct cache *cache, struct region *region)
{
	ucs_rcache_region_put(cache->rcache, &region->super);
}
