/** Of linux/userfaultfd.h: what is called from here, beside what native/monitor/userfaultfd.c calls. */

/** `_IOWR(0xAA, 0x00, struct uffdio_register)` */
export const UFFDIO_REGISTER = 0xc020aa00;
/** `_IOR(0xAA, 0x01, struct uffdio_range)` */
export const UFFDIO_UNREGISTER = 0x8010aa01;

/** `struct uffdio_register`, which begins with a `struct uffdio_range`. */
export const RANGE = { SIZE: 32, START: 0, LENGTH: 8, MODE: 16 } as const;

/** Events, and faults at pages that were write-protected, of which there are none. */
export const UFFDIO_REGISTER_MODE_WP = 2;
