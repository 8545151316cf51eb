/**
 * The binary interface of /dev/ummunotify, from native/ummunotify/include/uapi/linux/ummunotify.h. Offsets and sizes
 * are bytes; all numbers are little-endian on the architectures supported.
 */
export const DEVICE_PATH = '/dev/ummunotify';

/** `_IOWR('U', 1, __u32)` */
export const UMMUNOTIFY_EXCHANGE_FEATURES = 0xc0045501;
/** `_IOW('U', 2, struct ummunotify_register_ioctl)` */
export const UMMUNOTIFY_REGISTER_REGION = 0x40205502;
/** `_IOW('U', 3, __u64)` */
export const UMMUNOTIFY_UNREGISTER_REGION = 0x40085503;
/** `_IOW('U', 4, struct ummunotify_batch)` */
export const UMMUNOTIFY_UNREGISTER_BATCH = 0x40105504;

/** Extensions are granted only to a word that carries the tag; without it the answer is 0. */
export const FEATURE_TAG = 0x554d0000;
export const FEATURE_TAG_MASK = 0xffff0000;
/** Bits below the tag. */
export const Feature = {
  /** Why a range was invalidated, in bits 8 to 15 of an event's flags. */
  KIND: 1 << 0,
  /** No events for changes after which pinned pages still are those that the addresses map to, such as a fork. */
  TRANSLATION: 1 << 1,
  /** A mapped word for each range that changes with every hit of it. */
  GENERATION: 1 << 2,
  /** Many cookies unregistered by one call. */
  BATCH: 1 << 3,
} as const;

/** Generation words that a file has; a slot below this is chosen in `reserved` at REGISTER. */
export const GENERATION_SLOTS = 1 << 20;
export const NO_SLOT = 0xffffffff;

/** `struct ummunotify_batch` */
export const BATCH = { SIZE: 16, COOKIES: 0, COUNT: 8, RESERVED: 12, MAX: 1024 } as const;

/** `struct ummunotify_register_ioctl` */
export const REGISTER = { SIZE: 32, START: 0, END: 8, COOKIE: 16, FLAGS: 24, RESERVED: 28 } as const;

/** `struct ummunotify_event` */
export const EVENT = {
  SIZE: 32,
  TYPE: 0,
  FLAGS: 4,
  HINT_START: 8,
  HINT_END: 16,
  COOKIE_OR_COUNTER: 24,
} as const;

export const EVENT_TYPE_LAST = 1;
/** The hints are the one span that was hit; without it they are the whole range. */
export const EVENT_FLAG_HINT = 1;
