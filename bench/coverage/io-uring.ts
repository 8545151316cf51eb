import { systemError } from '../../src/errors.js';
import { close, MAP_SHARED } from '../../src/system/libc.js';
import { bytesAt, map, unmap } from '../../src/system/mapping.js';
import { type Calls, pointerTo } from '../system-calls.js';
import type { Place } from './kinds-of-memory.js';

// linux/io_uring.h
const PARAMETERS_BYTES = 120;
const SQ_OFFSETS = 40;
const CQ_OFFSETS = 80;
const OFFSET_SQES = 0x10000000;
const SQE_BYTES = 64;
const OP_MADVISE = 25;
const ENTER_GETEVENTS = 1;
/** Both rings are in one mapping; Linux 5.4. */
const RING_BYTES = 4096;

/** madvise(2) asked for by a submission of io_uring; the kernel runs it on a thread of its own. */
export function madviseByRing({ address, length }: Place, { raw }: Calls, advice: number): void {
  const parameters = Buffer.alloc(PARAMETERS_BYTES);
  const fd = raw('io_uring_setup', 1, pointerTo(parameters));
  const rings = map(RING_BYTES, { flags: MAP_SHARED, fd });
  const entries = map(RING_BYTES, { flags: MAP_SHARED, fd, offset: OFFSET_SQES });
  try {
    const ring = bytesAt(rings, RING_BYTES);
    const field = (offsets: number, n: number): number => parameters.readUInt32LE(offsets + 4 * n);
    // Tail and array of submissions; of completions the array, whose first entry is the answer.
    const [tail, array] = [field(SQ_OFFSETS, 1), field(SQ_OFFSETS, 6)];
    const completions = field(CQ_OFFSETS, 5);

    const entry = bytesAt(entries, SQE_BYTES).fill(0);
    entry.writeUInt8(OP_MADVISE, 0);
    entry.writeBigUInt64LE(BigInt(address), 16);
    entry.writeUInt32LE(length, 24);
    entry.writeUInt32LE(advice, 28);
    ring.writeUInt32LE(0, array);
    ring.writeUInt32LE(1, tail);
    raw('io_uring_enter', fd, 1, 1, ENTER_GETEVENTS);
    const result = ring.readInt32LE(completions + 8);
    if (result < 0) throw systemError(-result, 'io_uring madvise');
  } finally {
    unmap(entries, RING_BYTES);
    unmap(rings, RING_BYTES);
    close(fd);
  }
}
