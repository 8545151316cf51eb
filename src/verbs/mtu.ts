// enum ibv_mtu of verbs.h: 1 is 256 bytes, 5 is 4096.

/** Bytes. */
export const mtuBytes = (code: number): number => 128 << code;

export const mtuCode = (bytes: number): number => Math.log2(bytes) - 7;
