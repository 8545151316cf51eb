// SPDX-License-Identifier: GPL-2.0
/*
 * The words that let user space see, without a call, which ranges were hit.
 *
 * Their pages are allocated one by one, when a range chooses a slot in them or
 * a reader touches them, and stay until the file is closed: whoever has seen a
 * page under ctx->lock or in a fault may go on using it.
 */
#include <linux/atomic.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "ummunotify.h"

struct page **ummunotify_words_alloc(void)
{
	return kvcalloc(UMMUNOTIFY_WORD_PAGES, sizeof(struct page *),
			GFP_KERNEL_ACCOUNT);
}

void ummunotify_words_free(struct page **words)
{
	unsigned long i;

	if (!words)
		return;
	for (i = 0; i < UMMUNOTIFY_WORD_PAGES; i++)
		if (words[i])
			put_page(words[i]);
	kvfree(words);
}

/* Faults come under mmap_lock and cannot take ctx->mutex: no lock at all. */
struct page *ummunotify_word_page(struct page **words, unsigned long index)
{
	struct page *page, *other;

	/* Pairs with the cmpxchg below: the page is seen zeroed. */
	page = smp_load_acquire(&words[index]);
	if (page)
		return page;
	page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!page)
		return NULL;
	other = cmpxchg(&words[index], NULL, page);
	if (other) {
		__free_page(page);
		return other;
	}
	return page;
}

/* Before ctx->lock is taken: under it nothing can be allocated. */
int ummunotify_slot_prepare(struct ummunotify_ctx *ctx, u32 slot)
{
	if (slot == UMMUNOTIFY_NO_SLOT)
		return 0;
	if (slot >= UMMUNOTIFY_SLOTS)
		return -EINVAL;
	return ummunotify_word_page(ctx->words, slot / UMMUNOTIFY_WORDS) ?
		0 : -ENOMEM;
}

void ummunotify_slot_bump(struct ummunotify_ctx *ctx, u32 slot)
{
	struct page *page;
	u32 *word;

	lockdep_assert_held(&ctx->lock);

	if (slot == UMMUNOTIFY_NO_SLOT)
		return;
	page = ctx->words[slot / UMMUNOTIFY_WORDS];
	word = (u32 *)page_address(page) + slot % UMMUNOTIFY_WORDS;
	WRITE_ONCE(*word, *word + 1);
	flush_dcache_page(page);
}
