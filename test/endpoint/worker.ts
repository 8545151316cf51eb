// A worker thread with both ends of a connection, memory exposed, receives posted and requests that the peer does not
// take; says 'ready' and waits for its end.
import { setTimeout as delay } from 'node:timers/promises';
import { parentPort } from 'node:worker_threads';
import { allocatePageAligned } from '../../src/memory/allocate.js';
import { connected } from './fixture.js';

const { server, client } = await connected({ receiveBuffers: 1 });
const memory = allocatePageAligned(2 ** 20);
client.expose(memory);
server.cache.acquire(memory);
await client.send(memory.subarray(0, 10));
for (let n = 0; n < 3; n++) client.send(memory.subarray(0, 10)).catch(() => undefined);
await server.receive();
// Not while something is being set up: koffi would take the process with it.
await delay(200);
parentPort!.postMessage('ready');
setInterval(() => undefined, 1000);
