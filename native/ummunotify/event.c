// SPDX-License-Identifier: GPL-2.0
/*
 * From a hit to a record that has been read.
 *
 * Every advance of the counter sets ctx->readable, and only a LAST that has
 * reached the reader clears it. Whatever happens in between, a short read, a
 * bad buffer, UNREGISTER of a pending range, a LAST with the counter's value
 * is still to come.
 */
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "ummunotify.h"

/* The span of several hits is not known: say the whole range. */
static void merge(struct ummunotify_range *range, u16 kinds)
{
	range->hint_start = range->start;
	range->hint_end = range->end;
	range->kinds |= kinds;
	range->merged = true;
}

void ummunotify_hit(struct ummunotify_ctx *ctx, struct ummunotify_range *range,
		    u64 start, u64 end, u16 kind)
{
	lockdep_assert_held(&ctx->lock);

	ummunotify_slot_bump(ctx, range->slot);
	if (list_empty(&range->pending)) {
		range->hint_start = max(start, range->start);
		range->hint_end = min(end, range->end);
		range->kinds = kind;
		range->merged = false;
		list_add_tail(&range->pending, &ctx->pending);
	} else {
		merge(range, kind);
	}
}

/* After the hits: a generation word changes before the counter does. */
void ummunotify_advance(struct ummunotify_ctx *ctx)
{
	lockdep_assert_held(&ctx->lock);

	/*
	 * Before the counter moves: who has seen it move and reads must not be
	 * told that nothing is pending, and take that count for drained.
	 */
	ctx->count++;
	WRITE_ONCE(ctx->readable, true);
	ummunotify_counter_publish(ctx);
}

static void wake_readers(struct ummunotify_ctx *ctx)
{
	if (wq_has_sleeper(&ctx->read_wait))
		wake_up_interruptible_poll(&ctx->read_wait,
					   EPOLLIN | EPOLLRDNORM);
}

/* After ctx->lock is released: neither is quick, and both take other locks. */
void ummunotify_notify_readers(struct ummunotify_ctx *ctx)
{
	wake_readers(ctx);
	kill_fasync(&ctx->fasync, SIGIO, POLL_IN);
}

/* Without the feature, the kinds stay inside. */
static u16 kind_mask(const struct ummunotify_ctx *ctx)
{
	return ctx->features & UMMUNOTIFY_FEATURE_KIND ?
		UMMUNOTIFY_KIND_MASK : 0;
}

/* Fill ctx->events; UNREGISTER is kept out until they are copied. */
static size_t take_events(struct ummunotify_ctx *ctx, size_t max)
{
	struct ummunotify_range *range;
	size_t n = 0;

	lockdep_assert_held(&ctx->mutex);

	spin_lock(&ctx->lock);
	ctx->read_seq = ctx->open.seq;
	while (n < max && !list_empty(&ctx->pending)) {
		range = list_first_entry(&ctx->pending,
					 struct ummunotify_range, pending);
		list_del_init(&range->pending);
		ctx->taken[n] = range;
		ctx->events[n++] = (struct ummunotify_event) {
			.type = UMMUNOTIFY_EVENT_TYPE_INVAL,
			.flags = (range->kinds & kind_mask(ctx)) |
				 (range->merged ? 0 : UMMUNOTIFY_EVENT_FLAG_HINT),
			.hint_start = range->hint_start,
			.hint_end = range->hint_end,
			.user_cookie_counter = range->cookie,
		};
	}
	if (n < max && ctx->readable) {
		WRITE_ONCE(ctx->readable, false);
		ctx->taken[n] = NULL;
		ctx->events[n++] = (struct ummunotify_event) {
			.type = UMMUNOTIFY_EVENT_TYPE_LAST,
			.user_cookie_counter = ctx->count,
		};
	}
	spin_unlock(&ctx->lock);
	return n;
}

/*
 * Undo take_events(). The list keeps its order; a range that has been hit
 * again meanwhile keeps its newer place and becomes a merged event.
 */
static void put_back_events(struct ummunotify_ctx *ctx, size_t n)
{
	struct ummunotify_range *range;

	lockdep_assert_held(&ctx->mutex);

	spin_lock(&ctx->lock);
	while (n--) {
		range = ctx->taken[n];
		if (!range)
			continue;
		if (list_empty(&range->pending))
			list_add(&range->pending, &ctx->pending);
		else
			merge(range, ctx->events[n].flags & kind_mask(ctx));
	}
	WRITE_ONCE(ctx->readable, true);
	spin_unlock(&ctx->lock);

	wake_readers(ctx);
}

ssize_t ummunotify_read(struct file *file, char __user *buf, size_t count,
			loff_t *pos)
{
	struct ummunotify_ctx *ctx = file->private_data;
	size_t max = min(count / sizeof(*ctx->events), UMMUNOTIFY_EVENTS);
	size_t n, bytes;
	int ret;

	if (!ummunotify_is_owner(ctx))
		return -EIO;
	if (!max && FAULT(3))
		return 0;
	if (!max)
		return -EINVAL;
	ret = ummunotify_start(ctx);
	if (ret)
		return ret;

	for (;;) {
		if (file->f_flags & O_NONBLOCK) {
			/*
			 * The caller has loaded the counter. Pairs with the
			 * barrier in ummunotify_counter_publish().
			 */
			smp_rmb();
			if (!READ_ONCE(ctx->readable))
				return -EAGAIN;
		} else {
			ret = wait_event_interruptible(ctx->read_wait,
						       READ_ONCE(ctx->readable));
			if (ret)
				return ret;
		}

		if (mutex_lock_killable(&ctx->mutex))
			return -EINTR;
		n = take_events(ctx, max);
		bytes = n * sizeof(*ctx->events);
		if (copy_to_user(buf, ctx->events, bytes)) {
			if (!FAULT(3))
				put_back_events(ctx, n);
			ret = -EFAULT;
		}
		mutex_unlock(&ctx->mutex);

		if (ret)
			return ret;
		/* Nothing there any more: another reader was faster. */
		if (bytes)
			return bytes;
	}
}

__poll_t ummunotify_poll(struct file *file, struct poll_table_struct *wait)
{
	struct ummunotify_ctx *ctx = file->private_data;

	poll_wait(file, &ctx->read_wait, wait);
	/* As in read(): the caller may have loaded the counter. */
	smp_rmb();
	return READ_ONCE(ctx->readable) ? EPOLLIN | EPOLLRDNORM : 0;
}

int ummunotify_fasync(int fd, struct file *file, int on)
{
	struct ummunotify_ctx *ctx = file->private_data;

	return fasync_helper(fd, file, on, &ctx->fasync);
}
