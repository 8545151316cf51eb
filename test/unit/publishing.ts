// A program that takes part in `rdma-regcache stats`, with a cache in each of two threads; one hit a millisecond.
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { publishStatistics } from '../../src/publish/publish.js';
import { modelled } from './cache-fixture.js';

const { cache, pages } = modelled();
publishStatistics(cache, { name: isMainThread ? 'of the program' : 'of its thread' });
setInterval(() => {
  pages(0, 2).release();
}, 1);
if (isMainThread)
  new Worker(new URL(import.meta.url)).once('message', () => {
    console.log('ready');
  });
else parentPort!.postMessage('published');
