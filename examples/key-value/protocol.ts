import type { RemoteMemory } from 'rdma-regcache';
import type { Shape } from './table.js';

/** What the server says first, as JSON. */
export interface Greeting extends Shape {
  /** The whole table. */
  memory: RemoteMemory;
}

/** The server's answer to a put, as the immediate value of an empty message. */
export const ANSWER = { done: 0, full: 1, tooLong: 2 } as const;

/** A put, as a message: bytes of the key (32 bits, little-endian), the key, the value. */
export function encodePut(key: string, value: Uint8Array): Buffer {
  const keyBytes = Buffer.from(key);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(keyBytes.length);
  return Buffer.concat([length, keyBytes, value]);
}

export function decodePut(message: Buffer): { key: string; value: Buffer } {
  const valueAt = 4 + message.readUInt32LE();
  return { key: message.toString('utf8', 4, valueAt), value: message.subarray(valueAt) };
}
