// SPDX-License-Identifier: GPL-2.0
/*
 * The side of the memory management: what it invalidates, and from when to
 * when.
 *
 * The kernel changes page tables between invalidate_range_start() and
 * invalidate_range_end(). A range that is hit is reported at the start, so
 * that the counter has moved before the mapping does. That alone is unsound:
 * whoever drains the event and pins again before the end may get the old page
 * and would hear nothing more. So
 *
 *  - at the end, each range that was hit at the start and whose event has been
 *    read since is reported again, and
 *  - a range that is registered in between is armed at once, and its REGISTER
 *    returns only after the invalidations that were already open have ended.
 *
 * Later invalidations find the armed range and report it themselves; nobody
 * waits for those, so a stream of them cannot hold up a REGISTER for ever.
 *
 * Readers are woken at the end. At the start they would be told about most
 * invalidations twice: they would drain too early.
 */
#include <linux/cpumask.h>
#include <linux/moduleparam.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "compat.h"
#include "ummunotify.h"

static unsigned int open_places;
module_param(open_places, uint, 0644);
MODULE_PARM_DESC(open_places, "Invalidations under way at a time that a file opened from now on tells apart (default 0: four for each possible CPU, at least 64)");

int ummunotify_open_init(struct ummunotify_open *open)
{
	unsigned int places = READ_ONCE(open_places);

	if (!places)
		places = max(64U, 4 * num_possible_cpus());
	open->places = min(places, 1U << 16);
	open->slots = bitmap_zalloc(open->places, GFP_KERNEL_ACCOUNT);
	open->slot = kvcalloc(open->places, sizeof(*open->slot),
			      GFP_KERNEL_ACCOUNT);
	return open->slots && open->slot ? 0 : -ENOMEM;
}

void ummunotify_open_exit(struct ummunotify_open *open)
{
	bitmap_free(open->slots);
	kvfree(open->slot);
}

static bool overlaps(u64 start, u64 last, u64 other_start, u64 other_last)
{
	return start <= other_last && other_start <= last;
}

/*
 * mprotect() of a mapping at address 0 takes the 0 in the structure for "not
 * started", so each page directory of it is started and none is ended.
 */
static bool has_no_end(const struct mmu_notifier_range *mmu)
{
	return mmu->event == MMU_NOTIFY_PROTECTION_VMA && !mmu->start;
}

/* The open invalidation that was passed this structure, or NULL. */
static struct ummunotify_inval *
open_find(struct ummunotify_open *open, const struct mmu_notifier_range *mmu)
{
	unsigned int i;

	for_each_set_bit(i, open->slots, open->places)
		if (open->slot[i].key == mmu)
			return &open->slot[i];
	return NULL;
}

static void open_add(struct ummunotify_open *open,
		     const struct mmu_notifier_range *mmu, bool counts,
		     bool hit)
{
	struct ummunotify_inval *inval = open_find(open, mmu);
	u64 last = mmu->end - 1;
	unsigned int i;

	/* One that is still there under this address had no end. */
	if (!inval) {
		i = find_first_zero_bit(open->slots, open->places);
		if (i < open->places) {
			__set_bit(i, open->slots);
			inval = &open->slot[i];
		}
	}
	open->seq++;
	if (inval) {
		inval->key = mmu;
		inval->start = mmu->start;
		inval->last = last;
		inval->seq = open->seq;
		inval->counts = counts;
		inval->hit = hit;
	} else if (open->spilled++) {
		open->spill_start = min_t(u64, open->spill_start, mmu->start);
		open->spill_last = max(open->spill_last, last);
	} else {
		open->spill_start = mmu->start;
		open->spill_last = last;
	}
}

/*
 * Forget an invalidation that ends and return what is known of it. That is
 * nothing for a spilled one, or one whose start nobody told: it gets number 0
 * and counts as a hit, and what it overlaps is reported whenever that range
 * was armed or read.
 *
 * Start and end are passed the same structure (it carries flags from one to
 * the other), so its address tells equal spans apart.
 */
static struct ummunotify_inval open_del(struct ummunotify_open *open,
					const struct mmu_notifier_range *mmu)
{
	struct ummunotify_inval unknown = { .counts = true, .hit = true };
	struct ummunotify_inval *inval = open_find(open, mmu);

	if (inval) {
		__clear_bit(inval - open->slot, open->slots);
		return *inval;
	}
	/* Huge pages at address 0 do have an end. */
	if (open->spilled && !has_no_end(mmu) && !--open->spilled)
		open->spill_epoch++;
	return unknown;
}

static bool is_settled(const struct ummunotify_open *open,
		       const struct ummunotify_settle *settle)
{
	unsigned int i;

	if (settle->spilled && open->spill_epoch == settle->spill_epoch)
		return false;
	for_each_set_bit(i, open->slots, open->places) {
		const struct ummunotify_inval *inval = &open->slot[i];

		if (inval->counts && inval->seq <= settle->seq &&
		    overlaps(inval->start, inval->last,
			     settle->start, settle->last))
			return false;
	}
	return true;
}

/*
 * Is an invalidation of this range open, which has just been armed? Then the
 * caller drops the lock and calls ummunotify_wait_settled().
 */
bool ummunotify_must_settle(struct ummunotify_ctx *ctx,
			    const struct ummunotify_range *range,
			    struct ummunotify_settle *settle)
{
	struct ummunotify_open *open = &ctx->open;

	lockdep_assert_held(&ctx->lock);

	if (range->start >= range->end || FAULT(4))
		return false;
	settle->start = range->start;
	settle->last = range->end - 1;
	settle->seq = range->armed;
	settle->spill_epoch = open->spill_epoch;
	settle->spilled = open->spilled &&
			  overlaps(open->spill_start, open->spill_last,
				   settle->start, settle->last);
	if (is_settled(open, settle))
		return false;
	open->waiters++;
	return true;
}

static bool check_settled(struct ummunotify_ctx *ctx,
			  const struct ummunotify_settle *settle)
{
	bool settled;

	spin_lock(&ctx->lock);
	settled = is_settled(&ctx->open, settle);
	spin_unlock(&ctx->lock);
	return settled;
}

/*
 * No lock is held here, and an invalidation never returns to user space
 * between start and end, so this thread is not one of those it waits for.
 */
int ummunotify_wait_settled(struct ummunotify_ctx *ctx,
			    const struct ummunotify_settle *settle)
{
	int ret;

	ret = wait_event_killable(ctx->settle_wait, check_settled(ctx, settle));
	spin_lock(&ctx->lock);
	ctx->open.waiters--;
	spin_unlock(&ctx->lock);
	return ret;
}

/*
 * The same answer at the start and at the end, so that both are skipped. A
 * pinned page stays with its owner when it is write-protected for a fork (the
 * child gets the copy) or for write-back, and when its soft-dirty bit changes.
 */
static bool is_of_interest(const struct ummunotify_ctx *ctx,
			   const struct mmu_notifier_range *mmu)
{
	if (mmu->start >= mmu->end)
		return false;
	if (!(ctx->features & UMMUNOTIFY_FEATURE_TRANSLATION))
		return true;
	return mmu->event != MMU_NOTIFY_PROTECTION_PAGE &&
	       mmu->event != MMU_NOTIFY_SOFT_DIRTY;
}

/*
 * PROTECTION_VMA is raised by mprotect(), which is to be told, and by automatic
 * NUMA balancing and the write protection of userfaultfd and PAGEMAP_SCAN,
 * which are not, with UMMUNOTIFY_FEATURE_TRANSLATION: they leave pinned pages
 * where they are. mprotect() holds the mmap_lock for writing here; the others
 * hold it for reading, so nobody can have it for writing then. Where that is
 * not so this may err on the safe side, and therefore the answer is kept for
 * the end and not asked for again.
 */
static bool counts(const struct ummunotify_ctx *ctx,
		   const struct mmu_notifier_range *mmu)
{
	return !(ctx->features & UMMUNOTIFY_FEATURE_TRANSLATION) ||
	       mmu->event != MMU_NOTIFY_PROTECTION_VMA ||
	       mmap_is_write_locked(mmu->mm);
}

static u16 kind_of(const struct mmu_notifier_range *mmu)
{
	switch (mmu->event) {
	case MMU_NOTIFY_UNMAP:
		return UMMUNOTIFY_KIND_UNMAP;
	case MMU_NOTIFY_CLEAR:
		return UMMUNOTIFY_KIND_CLEAR;
	case MMU_NOTIFY_PROTECTION_VMA:
		return UMMUNOTIFY_KIND_PROTECTION;
	case MMU_NOTIFY_PROTECTION_PAGE:
		return UMMUNOTIFY_KIND_WRITE_PROTECT;
	case MMU_NOTIFY_SOFT_DIRTY:
		return UMMUNOTIFY_KIND_SOFT_DIRTY;
	case MMU_NOTIFY_MIGRATE:
		return UMMUNOTIFY_KIND_MIGRATE;
	case MMU_NOTIFY_EXCLUSIVE:
		return UMMUNOTIFY_KIND_EXCLUSIVE;
	default:
		return UMMUNOTIFY_KIND_OTHER;
	}
}

/* May be called where sleeping is not allowed (by the OOM reaper). */
static int invalidate_range_start(struct mmu_notifier *notifier,
				  const struct mmu_notifier_range *mmu)
{
	struct ummunotify_ctx *ctx =
		container_of(notifier, struct ummunotify_ctx, notifier);
	struct ummunotify_range *range = NULL;
	u64 last = mmu->end - 1;
	bool told, hit;

	if (!is_of_interest(ctx, mmu))
		return 0;
	told = counts(ctx, mmu);

	spin_lock(&ctx->lock);
	if (told)
		range = ummunotify_range_first(ctx, mmu->start, last);
	hit = range;
	for (; range; range = ummunotify_range_next(range, mmu->start, last))
		ummunotify_hit(ctx, range, mmu->start, mmu->end, kind_of(mmu));
	if (hit)
		ummunotify_advance(ctx);
	if (!has_no_end(mmu))
		open_add(&ctx->open, mmu, told, hit);
	spin_unlock(&ctx->lock);

	if (hit && has_no_end(mmu))
		ummunotify_notify_readers(ctx);
	return 0;
}

/*
 * Each start has its end (but see has_no_end()): the notifier is attached while
 * no invalidation can be open (mm_take_all_locks), and when another notifier
 * refuses to start, the end is called at once for those, like this one, that
 * did not. Only while exit_mmap() takes the notifiers away may an end be
 * missing, and then nobody is left to register a range. An end without a start
 * is taken for a hit.
 */
static void invalidate_range_end(struct mmu_notifier *notifier,
				 const struct mmu_notifier_range *mmu)
{
	struct ummunotify_ctx *ctx =
		container_of(notifier, struct ummunotify_ctx, notifier);
	struct ummunotify_range *range = NULL;
	struct ummunotify_inval inval;
	u64 last = mmu->end - 1;
	bool again = false;
	bool waiters;

	if (!is_of_interest(ctx, mmu))
		return;

	spin_lock(&ctx->lock);
	inval = open_del(&ctx->open, mmu);
	/* Nothing has been read since the start? Then all is still pending. */
	if (inval.counts && inval.hit && ctx->read_seq >= inval.seq)
		range = ummunotify_range_first(ctx, mmu->start, last);
	for (; range; range = ummunotify_range_next(range, mmu->start, last)) {
		/* A pending event is read later than now, and that will do. */
		if (!list_empty(&range->pending) || FAULT(4))
			continue;
		/* Armed after the start: its REGISTER waits for this end. */
		if (inval.seq && range->armed >= inval.seq)
			continue;
		ummunotify_hit(ctx, range, mmu->start, mmu->end, kind_of(mmu));
		again = true;
	}
	if (again)
		ummunotify_advance(ctx);
	waiters = ctx->open.waiters;
	if (FAULT(7))
		ummunotify_notify_readers(ctx);
	spin_unlock(&ctx->lock);

	if (waiters)
		wake_up_all(&ctx->settle_wait);
	if (inval.hit || again)
		ummunotify_notify_readers(ctx);
}

static const struct mmu_notifier_ops ummunotify_notifier_ops = {
	.invalidate_range_start	= invalidate_range_start,
	.invalidate_range_end	= invalidate_range_end,
};

int ummunotify_attach(struct ummunotify_ctx *ctx)
{
	int ret;

	lockdep_assert_held(&ctx->mutex);

	ctx->notifier.ops = &ummunotify_notifier_ops;
	if (mmap_write_lock_killable(ctx->mm))
		return -EINTR;
	ret = __mmu_notifier_register(&ctx->notifier, ctx->mm);
	mmap_write_unlock(ctx->mm);

	/* It gives up on any signal. Run the handler, then try again. */
	return ret == -EINTR && !FAULT(7) ? -ERESTARTNOINTR : ret;
}

/*
 * Waits until no callback is running any more, whether the address space
 * still exists or not, so that neither the context nor the module can go away
 * under one.
 */
void ummunotify_detach(struct ummunotify_ctx *ctx)
{
	mmu_notifier_unregister(&ctx->notifier, ctx->mm);
}
