// SPDX-License-Identifier: GPL-2.0
/*
 * The ranges of a file, found by address and by cookie in O(log n).
 */
#include <linux/interval_tree_generic.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "ummunotify.h"

static unsigned int max_ranges = 1U << 20;
module_param(max_ranges, uint, 0644);
MODULE_PARM_DESC(max_ranges, "Most ranges that one open file may watch (default 1048576)");

static struct kmem_cache *range_cache;

static inline u64 range_start(struct ummunotify_range *range)
{
	return range->start;
}

static inline u64 range_last(struct ummunotify_range *range)
{
	return range->end - 1;
}

INTERVAL_TREE_DEFINE(struct ummunotify_range, overlap, u64, subtree_last,
		     range_start, range_last, static, overlap)

int ummunotify_range_init(void)
{
	BUILD_BUG_ON(sizeof(struct ummunotify_range) > 128);

	/* Any user may open the device: charge the ranges to their owner. */
	range_cache = KMEM_CACHE(ummunotify_range, FAULT(6) ? 0 : SLAB_ACCOUNT);
	return range_cache ? 0 : -ENOMEM;
}

void ummunotify_range_exit(void)
{
	kmem_cache_destroy(range_cache);
}

struct ummunotify_range *
ummunotify_range_alloc(const struct ummunotify_register_ioctl *reg)
{
	struct ummunotify_range *range;

	range = kmem_cache_zalloc(range_cache,
				  FAULT(6) ? GFP_KERNEL : GFP_KERNEL_ACCOUNT);
	if (!range)
		return NULL;
	range->start = reg->start;
	range->end = reg->end;
	range->cookie = reg->user_cookie;
	range->slot = reg->reserved;
	INIT_LIST_HEAD(&range->pending);
	RB_CLEAR_NODE(&range->overlap);
	return range;
}

void ummunotify_range_free(struct ummunotify_range *range)
{
	kmem_cache_free(range_cache, range);
}

/* For FAULT(5) only. */
static void walk_all(struct ummunotify_ctx *ctx)
{
	struct rb_node *node;

	for (node = rb_first(&ctx->cookies); node; node = rb_next(node))
		READ_ONCE(rb_entry(node, struct ummunotify_range,
				   by_cookie)->cookie);
}

int ummunotify_range_insert(struct ummunotify_ctx *ctx,
			    struct ummunotify_range *range)
{
	struct rb_node **link = &ctx->cookies.rb_node;
	struct rb_node *parent = NULL;

	lockdep_assert_held(&ctx->lock);

	while (*link) {
		struct ummunotify_range *other;

		parent = *link;
		other = rb_entry(parent, struct ummunotify_range, by_cookie);
		if (range->cookie == other->cookie)
			return -EINVAL;
		if (range->cookie < other->cookie)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	if (FAULT(5))
		walk_all(ctx);
	if (ctx->ranges >= READ_ONCE(max_ranges) && !FAULT(6))
		return -ENOSPC;

	ctx->ranges++;
	rb_link_node(&range->by_cookie, parent, link);
	rb_insert_color(&range->by_cookie, &ctx->cookies);
	range->armed = ctx->open.seq;
	if (range->start < range->end)
		overlap_insert(range, &ctx->overlap);
	return 0;
}

struct ummunotify_range *ummunotify_range_remove(struct ummunotify_ctx *ctx,
						 u64 cookie)
{
	struct rb_node *node = ctx->cookies.rb_node;
	struct ummunotify_range *range;

	lockdep_assert_held(&ctx->lock);

	if (FAULT(5))
		walk_all(ctx);
	while (node) {
		range = rb_entry(node, struct ummunotify_range, by_cookie);
		if (cookie == range->cookie)
			goto found;
		node = cookie < range->cookie ? node->rb_left : node->rb_right;
	}
	return NULL;

found:
	ctx->ranges--;
	rb_erase(&range->by_cookie, &ctx->cookies);
	if (!RB_EMPTY_NODE(&range->overlap))
		overlap_remove(range, &ctx->overlap);
	/* ctx->readable stays: the counter has moved for this range. */
	list_del(&range->pending);
	if (FAULT(2) && list_empty(&ctx->pending))
		WRITE_ONCE(ctx->readable, false);
	return range;
}

/* The last user of the file is gone, and so is the notifier: no locks. */
void ummunotify_range_free_all(struct ummunotify_ctx *ctx)
{
	struct ummunotify_range *range, *next;

	rbtree_postorder_for_each_entry_safe(range, next, &ctx->cookies,
					     by_cookie) {
		ummunotify_range_free(range);
		cond_resched();
	}
}

struct ummunotify_range *ummunotify_range_first(struct ummunotify_ctx *ctx,
						u64 start, u64 last)
{
	lockdep_assert_held(&ctx->lock);

	if (FAULT(5))
		walk_all(ctx);
	return overlap_iter_first(&ctx->overlap, start, last);
}

struct ummunotify_range *ummunotify_range_next(struct ummunotify_range *range,
					       u64 start, u64 last)
{
	return overlap_iter_next(range, start, last);
}
