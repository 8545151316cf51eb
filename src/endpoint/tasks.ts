import { Access } from '../access.js';
import { regcacheError } from '../errors.js';
import type { Memory } from '../memory/locate.js';

import type { ReceiveRequests, SendRequests } from '../verbs/work-request.js';
import type { AtomicResults } from './atomic-results.js';
import { type Received, receivedOf } from './message.js';
import { placeIn, type RemoteMemory, takeRemote } from './remote-memory.js';
import type { Segment, Task } from './work.js';

export interface SendOptions {
  /** 32 bits that the peer gets with it. */
  immediate?: number;
}

export interface RemoteOptions {
  /** Bytes from the start of the remote memory; default 0. */
  offset?: number;
}

export interface WriteOptions extends RemoteOptions {
  /** 32 bits that the peer gets in a message of kind `'write'`, when the bytes are there. */
  immediate?: number;
}

/** Names of the options of each kind. */
export const SEND: readonly string[] = ['immediate'];
export const REMOTE: readonly string[] = ['offset'];
export const WRITE: readonly string[] = [...SEND, ...REMOTE];

/** What the requests of one endpoint are made with. */
export interface Limits {
  /** Bytes in one message. */
  readonly maxMessage: number;
  readonly results: AtomicResults;
}

export type SendTask<T> = Task<SendRequests, T>;

export function sendTask(
  { maxMessage }: Limits,
  memory: Memory | undefined,
  { immediate }: SendOptions,
): SendTask<number> {
  return {
    memory,
    access: Access.NONE,
    write: (list, id, segment) => {
      const { address, length, lkey } = checked(segment, maxMessage);
      if (immediate === undefined) list.send(id, address, length, lkey);
      else list.sendWithImmediate(id, address, length, lkey, immediate);
    },
    result: (_, length) => length,
  };
}

export function writeTask(
  { maxMessage }: Limits,
  memory: Memory,
  remote: RemoteMemory,
  { immediate, offset = 0 }: WriteOptions,
): SendTask<number> {
  const place = takeRemote(remote);
  return {
    memory,
    access: Access.NONE,
    write: (list, id, segment) => {
      const { address, length, lkey } = checked(segment, maxMessage);
      const to = placeIn(place, offset, length);
      if (immediate === undefined) list.write(id, address, length, lkey, to.address, to.rkey);
      else list.writeWithImmediate(id, address, length, lkey, to.address, to.rkey, immediate);
    },
    result: (_, length) => length,
  };
}

export function readTask(
  { maxMessage }: Limits,
  memory: Memory,
  remote: RemoteMemory,
  { offset = 0 }: RemoteOptions,
): SendTask<number> {
  const place = takeRemote(remote);
  return {
    memory,
    access: Access.LOCAL_WRITE,
    write: (list, id, segment) => {
      const { address, length, lkey } = checked(segment, maxMessage);
      const from = placeIn(place, offset, length);
      list.read(id, address, length, lkey, from.address, from.rkey);
    },
    result: (_, length) => length,
  };
}

/** @param write one of the atomic requests, given where its result and its operand are */
function atomicTask(
  { results }: Limits,
  remote: RemoteMemory,
  offset: number,
  write: (list: SendRequests, id: number, result: Segment, to: { address: number; rkey: number }) => void,
): SendTask<bigint> {
  const place = takeRemote(remote);
  let slot: number | undefined;
  return {
    memory: undefined,
    access: Access.NONE,
    write: (list, id) => {
      const to = placeIn(place, offset, 8);
      if (to.address % 8 !== 0) {
        throw regcacheError('ERR_INVALID_ADDRESS', 'an atomic works on 8 bytes that are aligned to 8', {
          address: to.address,
        });
      }
      slot = results.take();
      write(list, id, results.segment(slot), to);
    },
    result: () => results.value(slot!),
    over: () => {
      if (slot !== undefined) results.giveBack(slot);
    },
  };
}

export function compareAndSwapTask(
  limits: Limits,
  remote: RemoteMemory,
  compare: bigint,
  swap: bigint,
  { offset = 0 }: RemoteOptions,
): SendTask<bigint> {
  return atomicTask(limits, remote, offset, (list, id, { address, lkey }, to) => {
    list.compareAndSwap(id, address, lkey, to.address, to.rkey, compare, swap);
  });
}

export function fetchAndAddTask(
  limits: Limits,
  remote: RemoteMemory,
  add: bigint,
  { offset = 0 }: RemoteOptions,
): SendTask<bigint> {
  return atomicTask(limits, remote, offset, (list, id, { address, lkey }, to) => {
    list.fetchAndAdd(id, address, lkey, to.address, to.rkey, add);
  });
}

export function receiveTask(memory: Memory): Task<ReceiveRequests, Received> {
  return {
    memory,
    access: Access.LOCAL_WRITE,
    write: (list, id, { address, length, lkey }) => {
      list.receive(id, address, length, lkey);
    },
    result: receivedOf,
  };
}

function checked(segment: Segment, most: number): Segment {
  if (segment.length <= most) return segment;
  throw regcacheError(
    'ERR_INVALID_LENGTH',
    `the device takes messages of at most ${most} bytes, not ${segment.length}; send it in parts (subarray)`,
    { length: segment.length },
  );
}
