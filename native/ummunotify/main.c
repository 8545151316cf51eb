// SPDX-License-Identifier: GPL-2.0
/*
 * The device, its files and their ioctls.
 */
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/stringify.h>
#include <linux/uaccess.h>

#include "ummunotify.h"

#define KNOWN_FEATURES (UMMUNOTIFY_FEATURE_KIND |		\
			UMMUNOTIFY_FEATURE_TRANSLATION |	\
			UMMUNOTIFY_FEATURE_GENERATION |		\
			UMMUNOTIFY_FEATURE_BATCH)

/* From here on the features of this file are settled. */
int ummunotify_start(struct ummunotify_ctx *ctx)
{
	if (READ_ONCE(ctx->started))
		return 0;
	if (mutex_lock_killable(&ctx->mutex))
		return -EINTR;
	WRITE_ONCE(ctx->started, true);
	mutex_unlock(&ctx->mutex);
	return 0;
}

/*
 * The notifier is attached by the first REGISTER and not by open(), which
 * runs with a lock held that all misc devices share: it must not wait for the
 * mmap_lock, nor be interrupted by a signal.
 */
static int ensure_attached(struct ummunotify_ctx *ctx)
{
	int ret = 0;

	/* Pairs with the release below: the notifier is set up. */
	if (smp_load_acquire(&ctx->attached))
		return 0;
	if (mutex_lock_killable(&ctx->mutex))
		return -EINTR;
	WRITE_ONCE(ctx->started, true);
	if (!ctx->attached) {
		ret = ummunotify_attach(ctx);
		if (!ret) {
			/* Pairs with the acquire above. */
			smp_store_release(&ctx->attached, true);
		}
	}
	mutex_unlock(&ctx->mutex);
	return ret;
}

static int register_range(struct ummunotify_ctx *ctx,
			  const struct ummunotify_register_ioctl __user *arg)
{
	struct ummunotify_register_ioctl reg;
	struct ummunotify_settle settle;
	struct ummunotify_range *range;
	bool wait = false;
	int ret;

	if (copy_from_user(&reg, arg, sizeof(reg)))
		return -EFAULT;
	ret = ensure_attached(ctx);
	if (ret)
		return ret;
	if (ctx->features & UMMUNOTIFY_FEATURE_GENERATION) {
		ret = ummunotify_slot_prepare(ctx, reg.reserved);
		if (ret)
			return ret;
	} else {
		reg.reserved = UMMUNOTIFY_NO_SLOT;
	}
	range = ummunotify_range_alloc(&reg);
	if (!range)
		return -ENOMEM;

	spin_lock(&ctx->lock);
	ret = ummunotify_range_insert(ctx, range);
	if (!ret)
		wait = ummunotify_must_settle(ctx, range, &settle);
	spin_unlock(&ctx->lock);

	if (ret) {
		ummunotify_range_free(range);
		return ret;
	}
	/* Another thread may unregister the range now: it is not ours. */
	return wait ? ummunotify_wait_settled(ctx, &settle) : 0;
}

static int unregister_range(struct ummunotify_ctx *ctx,
			    const __u64 __user *arg)
{
	struct ummunotify_range *range;
	u64 cookie;

	if (get_user(cookie, arg))
		return -EFAULT;
	if (mutex_lock_killable(&ctx->mutex))
		return -EINTR;
	spin_lock(&ctx->lock);
	range = ummunotify_range_remove(ctx, cookie);
	spin_unlock(&ctx->lock);
	mutex_unlock(&ctx->mutex);

	if (!range)
		return -EINVAL;
	ummunotify_range_free(range);
	return 0;
}

static int unregister_batch(struct ummunotify_ctx *ctx,
			    const struct ummunotify_batch __user *arg)
{
	struct ummunotify_range *range, *next;
	struct ummunotify_batch batch;
	u64 *cookies;
	LIST_HEAD(gone);
	int i, ret = 0;

	if (copy_from_user(&batch, arg, sizeof(batch)))
		return -EFAULT;
	if (batch.count > UMMUNOTIFY_BATCH_MAX || batch.reserved)
		return -EINVAL;
	cookies = kcalloc(batch.count, sizeof(*cookies), GFP_KERNEL_ACCOUNT);
	if (!cookies)
		return -ENOMEM;
	if (copy_from_user(cookies, u64_to_user_ptr(batch.cookies),
			   batch.count * sizeof(*cookies))) {
		ret = -EFAULT;
		goto out;
	}
	if (mutex_lock_killable(&ctx->mutex)) {
		ret = -EINTR;
		goto out;
	}
	for (i = 0; i < batch.count; i++) {
		/* One by one: an invalidation need not wait for all of them. */
		spin_lock(&ctx->lock);
		range = ummunotify_range_remove(ctx, cookies[i]);
		spin_unlock(&ctx->lock);
		if (range) {
			list_add(&range->pending, &gone);
			ret++;
		}
	}
	mutex_unlock(&ctx->mutex);

	list_for_each_entry_safe(range, next, &gone, pending)
		ummunotify_range_free(range);
out:
	kfree(cookies);
	return ret;
}

static int exchange_features(struct ummunotify_ctx *ctx, __u32 __user *arg)
{
	u32 wanted, granted = 0, answer = 0;
	struct page **words = NULL;
	int ret;

	if (get_user(wanted, arg))
		return -EFAULT;
	if ((wanted & UMMUNOTIFY_FEATURE_TAG_MASK) == UMMUNOTIFY_FEATURE_TAG) {
		granted = wanted & KNOWN_FEATURES;
		answer = UMMUNOTIFY_FEATURE_TAG | granted;
	}
	if (granted & UMMUNOTIFY_FEATURE_GENERATION) {
		words = ummunotify_words_alloc();
		if (!words)
			return -ENOMEM;
	}

	if (mutex_lock_killable(&ctx->mutex)) {
		ret = -EINTR;
		goto out;
	}
	ret = ctx->started ? -EINVAL : put_user(answer, arg);
	if (!ret) {
		ctx->features = granted;
		/* Pairs with the acquire in mmap(), which takes no mutex. */
		smp_store_release(&ctx->words, words);
		words = NULL;
		WRITE_ONCE(ctx->started, true);
	}
	mutex_unlock(&ctx->mutex);
out:
	ummunotify_words_free(words);
	return ret;
}

static long ummunotify_ioctl(struct file *file, unsigned int cmd,
			     unsigned long arg)
{
	struct ummunotify_ctx *ctx = file->private_data;
	void __user *user = (void __user *)arg;

	switch (cmd) {
	case UMMUNOTIFY_EXCHANGE_FEATURES:
	case UMMUNOTIFY_REGISTER_REGION:
	case UMMUNOTIFY_UNREGISTER_REGION:
		break;
	case UMMUNOTIFY_UNREGISTER_BATCH:
		if (ctx->features & UMMUNOTIFY_FEATURE_BATCH)
			break;
		fallthrough;
	default:
		return -ENOTTY;
	}

	/* A forked child would take the parent's events away. */
	if (!ummunotify_is_owner(ctx))
		return -EIO;

	switch (cmd) {
	case UMMUNOTIFY_EXCHANGE_FEATURES:
		return exchange_features(ctx, user);
	case UMMUNOTIFY_REGISTER_REGION:
		return register_range(ctx, user);
	case UMMUNOTIFY_UNREGISTER_REGION:
		return unregister_range(ctx, user);
	default:
		return unregister_batch(ctx, user);
	}
}

static void free_context(struct ummunotify_ctx *ctx)
{
	ummunotify_words_free(ctx->words);
	ummunotify_counter_free(ctx);
	ummunotify_open_exit(&ctx->open);
	kfree(ctx->events);
	kfree(ctx);
}

static int ummunotify_open(struct inode *inode, struct file *file)
{
	struct ummunotify_ctx *ctx;

	if ((file->f_mode & FMODE_WRITE) || !current->mm)
		return -EINVAL;

	ctx = kzalloc(sizeof(*ctx), GFP_KERNEL_ACCOUNT);
	if (!ctx)
		return -ENOMEM;
	ctx->events = kcalloc(UMMUNOTIFY_EVENTS, sizeof(*ctx->events),
			      GFP_KERNEL_ACCOUNT);
	if (!ctx->events || ummunotify_open_init(&ctx->open) ||
	    ummunotify_counter_alloc(ctx)) {
		free_context(ctx);
		return -ENOMEM;
	}

	mutex_init(&ctx->mutex);
	spin_lock_init(&ctx->lock);
	ctx->overlap = RB_ROOT_CACHED;
	ctx->cookies = RB_ROOT;
	INIT_LIST_HEAD(&ctx->pending);
	init_waitqueue_head(&ctx->settle_wait);
	init_waitqueue_head(&ctx->read_wait);

	/* Not the memory, just the identity: it can still exit. */
	mmgrab(current->mm);
	ctx->mm = current->mm;
	file->private_data = ctx;
	return stream_open(inode, file);
}

/* Not under mmap_lock, even when munmap() of the counter dropped the file. */
static int ummunotify_release(struct inode *inode, struct file *file)
{
	struct ummunotify_ctx *ctx = file->private_data;

	if (FAULT(1))
		ummunotify_range_free_all(ctx);
	/* First, so that no callback walks what is freed below. */
	if (ctx->attached)
		ummunotify_detach(ctx);
	if (!FAULT(1))
		ummunotify_range_free_all(ctx);
	mmdrop(ctx->mm);
	free_context(ctx);
	return 0;
}

static const struct file_operations ummunotify_fops = {
	.owner		= THIS_MODULE,
	.open		= ummunotify_open,
	.release	= ummunotify_release,
	.read		= ummunotify_read,
	.poll		= ummunotify_poll,
	.fasync		= ummunotify_fasync,
	.mmap		= ummunotify_mmap,
	.unlocked_ioctl	= ummunotify_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

static struct miscdevice ummunotify_device = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "ummunotify",
	.mode	= FAULT(6) ? 0600 : 0666,
	.fops	= &ummunotify_fops,
};

static int __init ummunotify_init(void)
{
	int ret;

	BUILD_BUG_ON(sizeof(struct ummunotify_register_ioctl) != 32);
	BUILD_BUG_ON(sizeof(struct ummunotify_event) != 32);
	BUILD_BUG_ON(sizeof(struct ummunotify_batch) != 16);

	ret = ummunotify_range_init();
	if (ret)
		return ret;
	ret = misc_register(&ummunotify_device);
	if (ret)
		ummunotify_range_exit();
	return ret;
}

static void __exit ummunotify_exit(void)
{
	misc_deregister(&ummunotify_device);
	ummunotify_range_exit();
}

module_init(ummunotify_init);
module_exit(ummunotify_exit);

MODULE_AUTHOR("The rdma-regcache authors");
MODULE_DESCRIPTION("Tells user space when its memory mappings are invalidated");
MODULE_VERSION("1.0.0");
MODULE_LICENSE("GPL");
#if UMMUNOTIFY_FAULT
MODULE_INFO(fault, __stringify(UMMUNOTIFY_FAULT));
#endif
