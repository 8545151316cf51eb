import { Access, addressOf, allocatePageAligned } from 'rdma-regcache';
import type { MonitorOrCopy } from '../about/server.js';
import { openSource } from '../coverage/source.js';
import type { Link } from './link.js';
import { copyMemory } from './copy-memory.js';
import { MOST } from './requests.js';

/** How a server gets values to its client. */
export interface Sender extends Disposable {
  send(address: number, length: number): void;
  /** How many it has made to send. */
  registrations(): number;
}

/** @throws RegcacheError `ERR_NO_MONITOR` where there is no such monitor */
export const openSender = (name: MonitorOrCopy, link: Link): Sender =>
  name === 'copy' ? byCopying(link) : byRegistering(name, link);

function byRegistering(monitor: Exclude<MonitorOrCopy, 'copy'>, link: Link): Sender {
  const source = openSource(monitor, link.pd);
  return {
    send(address, length) {
      using registration = source.acquire(address, length);
      link.write(address, length, registration.lkey);
    },
    registrations: () => source.registrations(),
    [Symbol.dispose]: () => {
      source[Symbol.dispose]();
    },
  };
}

/** No cache is needed when everything is copied to where it can be sent from. */
function byCopying(link: Link): Sender {
  const memory = allocatePageAligned(MOST);
  const region = link.pd.register(addressOf(memory), memory.length, Access.LOCAL_WRITE);
  return {
    send(from, length) {
      // Asked for each time, so that the memory is kept.
      const address = addressOf(memory);
      copyMemory(address, from, length);
      link.write(address, length, region.lkey);
    },
    registrations: () => 0,
    [Symbol.dispose]: () => {
      region.close();
    },
  };
}
