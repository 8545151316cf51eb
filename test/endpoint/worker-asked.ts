// A worker thread with a listener; says its port, and 'asked' when it has taken in the first request, at which it stops.
import { parentPort } from 'node:worker_threads';
import { librdmacm } from '../../src/cm/library.js';
import { listen } from '../../src/endpoint/listener.js';

const listener = await listen();
const library = librdmacm();
const acknowledge = library.ackCmEvent.bind(library);
library.ackCmEvent = (event) => {
  acknowledge(event);
  parentPort!.postMessage('asked');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  return 0;
};
parentPort!.postMessage(listener.port);
