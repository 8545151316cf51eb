import { createSocket } from 'node:dgram';
import { isMainThread } from 'node:worker_threads';
import koffi from 'koffi';
import { systemError } from '../errors.js';
import { close, dup3, errno, fcntl, O_CLOEXEC, O_NONBLOCK, socket } from './libc.js';

/** A descriptor watched by the event loop, which stays alive for it until `unref()`. */
export interface ReadableWatch {
  ref(): void;
  unref(): void;
  /** No call follows. To be done once, before the descriptor is closed. */
  close(): void;
}

/**
 * Call back from the event loop, again and again while the descriptor is readable. It is made non-blocking.
 * @throws the system's error, EMFILE for one
 */
export const watchReadable: (fd: number, callback: () => void) => ReadableWatch = isMainThread
  ? (fd, callback) => koffi.node.poll(fd, { readable: true }, callback)
  : watchInWorker;

const AF_INET = 2;
const SOCK_DGRAM = 2;
const F_GETFL = 3;
const F_SETFL = 4;

/**
 * koffi aborts the process when a worker is terminated while it calls back, or is about to (koffi 3.3, uv.cc: it
 * throws, and a thread that ends cannot). Node's own handles do not, but there is none for a descriptor of any kind. A
 * datagram socket comes closest: libuv waits until its descriptor is readable, and reports an error of recvmsg(2)
 * without letting go of it. So put the descriptor in the place of a socket's: reading it as a socket is ENOTSOCK, and
 * takes nothing from it.
 */
function watchInWorker(fd: number, callback: () => void): ReadableWatch {
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL, 0) | O_NONBLOCK);
  const place = socket(AF_INET, SOCK_DGRAM | O_NONBLOCK | O_CLOEXEC, 0);
  if (place === -1) throw systemError(errno(), 'socket');
  const watch = createSocket('udp4');
  watch.on('error', callback);
  try {
    watch.bind({ fd: place, exclusive: true });
  } catch (error) {
    close(place);
    throw error;
  }
  // The event loop looks at the descriptor only when it goes on.
  if (dup3(fd, place, O_CLOEXEC) === -1) {
    const error = errno();
    watch.close();
    throw systemError(error, 'dup3');
  }
  return watch;
}
