/** A process that serves under one monitor, its argument. Its parent sends it commands, and it answers each. */
import { RegcacheError } from 'rdma-regcache';
import type { MonitorOrCopy } from '../about/server.js';
import { Server, type Sample, type Task } from './serve.js';

/** To start, to serve so many requests, or to end. */
export type Command = { readonly start: Task } | { readonly serve: number } | 'end';
/** What came of it; or why there is no such monitor here. */
export type Answer = 'done' | Sample | { readonly missing: string };

const server = new Server(process.argv[2] as MonitorOrCopy);
process.on('message', (command: Command) => {
  void obey(command).then((answer) => process.send!(answer));
});
process.on('disconnect', () => {
  server.close();
});

async function obey(command: Command): Promise<Answer> {
  if (command === 'end') {
    server.end();
    return 'done';
  }
  if ('serve' in command) return server.serve(command.serve);
  try {
    await server.start(command.start);
    return 'done';
  } catch (error) {
    if (!(error instanceof RegcacheError && error.code === 'ERR_NO_MONITOR')) throw error;
    return { missing: error.message };
  }
}
