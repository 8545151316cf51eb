// SPDX-License-Identifier: GPL-2.0
/*
 * The page that lets user space see, without a call, that something happened,
 * and the mappings of it and of the generation words.
 */
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/mm.h>

#include "compat.h"
#include "ummunotify.h"

int ummunotify_counter_alloc(struct ummunotify_ctx *ctx)
{
	ctx->counter = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	return ctx->counter ? 0 : -ENOMEM;
}

void ummunotify_counter_free(struct ummunotify_ctx *ctx)
{
	if (ctx->counter)
		put_page(ctx->counter);
}

/*
 * Called before invalidate_range_start() returns, and so before the first page
 * table entry of the invalidation changes.
 */
void ummunotify_counter_publish(struct ummunotify_ctx *ctx)
{
	u64 *counter = page_address(ctx->counter);

	/*
	 * A reader that sees the new count also sees the new generations, and
	 * that there is something to read.
	 */
	smp_wmb();
	WRITE_ONCE(*counter, ctx->count);
	flush_dcache_page(ctx->counter);
}

static vm_fault_t counter_fault(struct vm_fault *vmf)
{
	struct ummunotify_ctx *ctx = vmf->vma->vm_private_data;
	struct page *page = ctx->counter;

	if (vmf->pgoff) {
		if (!ctx->words || vmf->pgoff > UMMUNOTIFY_WORD_PAGES)
			return VM_FAULT_SIGBUS;
		page = ummunotify_word_page(ctx->words, vmf->pgoff - 1);
		if (!page)
			return VM_FAULT_OOM;
	}
	get_page(page);
	vmf->page = page;
	return 0;
}

static const struct vm_operations_struct counter_vm_ops = {
	.fault	= counter_fault,
};

/*
 * The counter is page 0, the generation words are the pages from 1 on. Under
 * mmap_lock, so without ctx->mutex. The mapping holds the file.
 */
int ummunotify_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct ummunotify_ctx *ctx = file->private_data;
	unsigned long pages = vma_pages(vma);

	if (vma->vm_pgoff == 0) {
		if (pages != 1)
			return -EINVAL;
	} else {
		/* Pairs with the release when the feature was granted. */
		if (vma->vm_pgoff != 1 || !smp_load_acquire(&ctx->words) ||
		    pages > UMMUNOTIFY_WORD_PAGES)
			return -EINVAL;
	}
	/* A private copy would stop moving at the first write to it. */
	if (vma->vm_flags & VM_WRITE)
		return -EACCES;

	vm_flags_mod(vma, VM_DONTEXPAND | VM_DONTDUMP,
		     FAULT(7) ? 0 : VM_MAYWRITE);
	vma->vm_ops = &counter_vm_ops;
	vma->vm_private_data = ctx;
	return 0;
}
