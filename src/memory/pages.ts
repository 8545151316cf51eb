import { PAGE_SIZE } from '../system/libc.js';

/** A multiplication is faster than a division or a remainder, and exact: the page size is a power of two. */
const PAGES_PER_BYTE = 1 / PAGE_SIZE;

/** Number of the page that holds the byte at `address`. */
export const pageOf = (address: number): number => Math.floor(address * PAGES_PER_BYTE);

/** First byte of the page that holds `address` (`address` itself when it is aligned). */
export const pageFloor = (address: number): number => pageOf(address) * PAGE_SIZE;

/** First byte of the page at or after `address`. */
export const pageCeil = (address: number): number => Math.ceil(address * PAGES_PER_BYTE) * PAGE_SIZE;
