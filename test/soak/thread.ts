// A thread of the soak: it changes places, or transfers them.
import { parentPort, workerData } from 'node:worker_threads';
import { changeUntilStopped } from './changing.js';
import type { FromThread, Orders, ToThread } from './messages.js';
import { Transferring } from './transferring.js';

const orders = workerData as Orders;
const tell = (message: FromThread): void => {
  parentPort!.postMessage(message);
};

if (orders.task === 'change') {
  tell('ready');
  tell({ changed: changeUntilStopped(orders) });
} else {
  const transferring = new Transferring(orders);
  tell('ready');
  await transferring.untilStopped();
  tell({ transferred: await transferring.tell() });
  parentPort!.on('message', (asked: ToThread) => {
    void (async () => {
      if (asked === 'tell') {
        tell({ transferred: await transferring.tell() });
        return;
      }
      parentPort!.close();
      await transferring.ends.close();
    })();
  });
}
