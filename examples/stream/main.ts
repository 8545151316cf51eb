/** Streams over an endpoint: a file goes to a server by one pipeline, and comes back, compressed, by another. */
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { createGunzip } from 'node:zlib';
import { connect } from 'rdma-regcache';
import { run } from '../command-line.js';
import { reachServer } from '../server-process.js';
import { EndpointStream } from './endpoint-stream.js';
import { parseOptions } from './options.js';
import { Nowhere, Passing } from './passing.js';
import { serve } from './server.js';

const { role, file, json } = parseOptions(process.argv.slice(2));

await run('stream', async () => {
  if (role.is === 'server') {
    await serve(role.port);
    return;
  }
  using server = await reachServer(role, import.meta.url);
  const stream = new EndpointStream(await connect({ host: server.host, port: server.port }));
  const [sent, compressed, unpacked] = [new Passing(), new Passing(), new Passing()];
  await Promise.all([
    pipeline(createReadStream(file ?? fileURLToPath(import.meta.url)), sent, stream),
    pipeline(stream, compressed, createGunzip(), unpacked, new Nowhere()),
  ]);
  const [here, back] = [sent.digest(), unpacked.digest()];
  if (here !== back) throw new Error('what came back is not what was sent');
  const passed = { sent: sent.bytes, compressed: compressed.bytes, unpacked: unpacked.bytes, sha256: back };
  if (json) console.log(JSON.stringify({ schema: 1, name: 'stream', ...passed }, null, 2));
  else {
    console.log(
      `${sent.bytes} bytes sent, ${compressed.bytes} came back compressed, ${unpacked.bytes} unpacked`,
    );
    console.log(`SHA-256 ${back} of both`);
  }
});
