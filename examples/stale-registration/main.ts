/**
 * Two processes and one buffer. The buffer is sent, given new pages at the same address, and sent again: once with a
 * registration that is simply kept, once with one from the cache. What arrived is compared byte for byte.
 */
import { createHash } from 'node:crypto';
import { release } from 'node:os';
import { createCache, SendRequests, type Statistics } from 'rdma-regcache';
import { bytesAt, map, unmap } from '../../src/system/mapping.js';
import { openConnection } from './connection.js';
import { KeptRegistrations } from './kept-registrations.js';
import { parseOptions } from './options.js';
import { Peer } from './peer.js';
import type { Arrival } from './receiver.js';
import { REMAPS, type Remap } from './remap.js';
import { render, type Report, type Row, type Strategy } from './report.js';

const MESSAGE_BYTES = 64 * 1024;
/** Sends before each change, as a program would reuse its buffer. */
const REUSE = 10;

const options = parseOptions(process.argv.slice(2));

const connection = openConnection();
const cache = createCache(connection.pd);
const peer = new Peer();
try {
  connection.qp.connect(await peer.endpoint());
  await peer.connect(connection.qp.local, MESSAGE_BYTES);

  let messages = 0;
  const send = async (address: number, lkey: number): Promise<Arrival> => {
    messages++;
    return peer.receive(async () => {
      connection.qp.postSend(new SendRequests().send(messages, address, MESSAGE_BYTES, lkey));
      await connection.completed();
    });
  };

  const rows: Row[] = [];
  for (const remap of REMAPS) {
    for (const strategy of ['kept for ever', 'rdma-regcache'] as const) {
      process.stderr.write(`sending, ${remap.name}, sending again; registration ${strategy} ...\n`);
      rows.push(await tryOut(remap, strategy, send));
    }
  }
  const report: Report = {
    schema: 1,
    name: 'stale-registration',
    kernel: release(),
    device: connection.context.device.name,
    messageBytes: MESSAGE_BYTES,
    messages,
    rows,
    cache: summary(cache.statistics()),
  };
  console.log(options.json ? JSON.stringify(report, null, 2) : render(report));
  process.exitCode = verdict(report);
  await peer.end();
} finally {
  peer.kill();
}
cache.close();
connection.close();

async function tryOut(
  remap: Remap,
  strategy: Strategy,
  send: (address: number, lkey: number) => Promise<Arrival>,
): Promise<Row> {
  const address = map(MESSAGE_BYTES);
  const buffer = bytesAt(address, MESSAGE_BYTES);
  const kept = strategy === 'kept for ever' ? new KeptRegistrations(connection.pd) : undefined;
  const sendBuffer = async (): Promise<Arrival> => {
    if (kept !== undefined) return send(address, kept.lkey(address, MESSAGE_BYTES));
    using registration = cache.acquireRange(address, MESSAGE_BYTES);
    return await send(address, registration.lkey);
  };

  const before = fill(buffer, 'old content');
  for (let i = 0; i < REUSE; i++) {
    const { digest } = await sendBuffer();
    if (digest !== before.digest) throw new Error('the connection itself garbles messages');
  }
  remap.run(address, MESSAGE_BYTES);
  const after = fill(buffer, 'new content');
  const arrival = await sendBuffer();

  kept?.close();
  unmap(address, MESSAGE_BYTES);
  return {
    change: remap.name,
    strategy,
    sent: after.text,
    arrived: arrival.text.slice(0, after.text.length),
    verdict: arrival.digest === after.digest ? 'fresh' : arrival.digest === before.digest ? 'STALE' : 'WRONG',
  };
}

/** Fill the buffer with a text over and over; its digest is what ought to arrive. */
function fill(buffer: Buffer, text: string): { text: string; digest: string } {
  buffer.fill(`${text}; `, 'latin1');
  return { text, digest: createHash('sha256').update(buffer).digest('hex') };
}

function summary(statistics: Statistics): Report['cache'] {
  const { hits, misses, evictions, invalidations, registrations, deregistrations } = statistics;
  const each =
    statistics.registrationMicroseconds / Math.max(registrations, 1) +
    statistics.deregistrationMicroseconds / Math.max(deregistrations, 1);
  return { hits, misses, evictions: evictions + invalidations, microsecondsSaved: hits * each };
}

/** 0 when the cache kept every stale byte off the wire and the demonstration could have shown one. */
function verdict({ rows }: Report): number {
  const asExpected = rows.every(
    (row) => row.verdict === (row.strategy === 'rdma-regcache' ? 'fresh' : 'STALE'),
  );
  return asExpected ? 0 : 1;
}
