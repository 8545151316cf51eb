// What the changes of mappings need besides the flags that the package itself uses (src/system/libc.ts).

// linux/mman.h
export const MADV_FREE = 8;
export const MADV_REMOVE = 9;
export const MADV_NOHUGEPAGE = 15;
export const MADV_PAGEOUT = 21;
export const MADV_DONTNEED_LOCKED = 24;
export const MADV_COLLAPSE = 25;
export const MAP_HUGETLB = 0x40000;
export const MREMAP_MAYMOVE = 1;
export const MREMAP_FIXED = 2;
export const MREMAP_DONTUNMAP = 4;
// linux/shm.h
export const SHM_REMAP = 0o40000;
