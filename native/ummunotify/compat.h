/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs between the kernels this module builds for. All version checks
 * live here.
 */
#ifndef _UMMUNOTIFY_COMPAT_H
#define _UMMUNOTIFY_COMPAT_H

#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "ummunotify needs Linux 6.1 or newer"
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void vm_flags_mod(struct vm_area_struct *vma,
				unsigned long set, unsigned long clear)
{
	vma->vm_flags = (vma->vm_flags | set) & ~clear;
}
#endif

/*
 * Does anybody hold the mmap_lock for writing? A waiter does not. The lock has
 * no such question of its own; with PREEMPT_RT it cannot be asked, and the
 * answer is the safe one.
 */
static inline bool mmap_is_write_locked(struct mm_struct *mm)
{
#ifdef CONFIG_PREEMPT_RT
	return true;
#else
	/* RWSEM_WRITER_LOCKED, private to the lock in older kernels */
	return atomic_long_read(&mm->mmap_lock.count) & 1;
#endif
}

#endif /* _UMMUNOTIFY_COMPAT_H */
