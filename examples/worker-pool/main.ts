/** Threads share memory, and each has a connection and a cache of its own. */
import { createHash, randomFillSync } from 'node:crypto';
import { allocatePageAligned, connect, type Endpoint } from 'rdma-regcache';
import { run } from '../command-line.js';
import { hear, tell } from '../json-messages.js';
import { reachServer } from '../server-process.js';
import { parseOptions } from './options.js';
import { Pool } from './pool.js';
import { type Answer, type Request, serve } from './server.js';
import type { Work } from './worker.js';

const { role, workers, bytes, blockBytes, rounds, json } = parseOptions(process.argv.slice(2));

await run('worker-pool', async () => {
  if (role.is === 'server') {
    await serve(role.port);
    return;
  }
  using server = await reachServer(role, import.meta.url);
  const { host, port } = server;
  await using endpoint = await connect({ host, port });
  const { memory: remote } = (await ask(endpoint, { allocate: bytes })) as Extract<
    Answer,
    { memory: unknown }
  >;

  const shared = allocatePageAligned(bytes, { shared: true });
  const memory = new Uint8Array(shared.buffer as SharedArrayBuffer, shared.byteOffset, bytes);
  await using pool = await Pool.start(workers, { host, port, memory, remote, blockBytes });
  const digests: string[] = [];
  let work: Work[] = [];
  for (let round = 1; round <= rounds; round++) {
    randomFillSync(memory);
    work = await pool.write();
    const here = createHash('sha256').update(memory).digest('hex');
    const { sha256: there } = (await ask(endpoint, 'digest')) as Extract<Answer, { sha256: unknown }>;
    if (here !== there) throw new Error(`round ${round}: what the server has is not what was written`);
    digests.push(there);
  }
  if (json) console.log(JSON.stringify({ schema: 1, name: 'worker-pool', digests, workers: work }, null, 2));
  else console.log(render(work, digests));
});

async function ask(endpoint: Endpoint, request: Request): Promise<unknown> {
  await tell(endpoint, request);
  return hear(endpoint);
}

function render(work: readonly Work[], digests: readonly string[]): string {
  const line = (cells: readonly (string | number)[]): string =>
    cells.map((cell, column) => String(cell).padStart(column === 0 ? 6 : 16)).join('');
  const head = line(['worker', 'blocks written', 'cache hits', 'cache misses']);
  return [
    head,
    '-'.repeat(head.length),
    ...work.map(({ blocks, hits, misses }, n) => line([n + 1, blocks, hits, misses])),
    '',
    ...digests.map((sha256, n) => `round ${n + 1}: SHA-256 ${sha256.slice(0, 16)}... at both ends`),
  ].join('\n');
}
