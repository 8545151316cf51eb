import { PAGE_SIZE } from '../system/libc.js';

/** Number of the page that holds the byte at `address`. */
export const pageOf = (address: number): number => Math.floor(address / PAGE_SIZE);

/** First byte of the page that holds `address` (`address` itself when it is aligned). */
export const pageFloor = (address: number): number => address - (address % PAGE_SIZE);

/** First byte of the page at or after `address`. */
export const pageCeil = (address: number): number => pageFloor(address + PAGE_SIZE - 1);
