/**
 * Chooses monitors where the arguments say and prints, a line each, the warnings that came of it in any thread.
 * Arguments: the name to ask for ('-' for nothing), then 'here' and 'threads', in the order wanted.
 */
import { once } from 'node:events';
import { isMainThread, Worker } from 'node:worker_threads';
import { fileURLToPath } from 'node:url';
import { chooseMonitor, warnOfNone } from '../../src/choose-monitor.js';
import { readEnvironment, warnOfSlips } from '../../src/environment.js';
import type { MonitorName } from '../../src/monitor/choice.js';

const [name, ...where] = process.argv.slice(2);
process.on('warning', (warning) => {
  console.log(warning.name, (warning as NodeJS.ErrnoException).code, warning.message);
});

function choose(): void {
  const asked = name === '-' ? undefined : (name as MonitorName);
  warnOfNone(chooseMonitor(asked, { forkStatus: 'unneeded' }, readEnvironment()));
  warnOfSlips();
}

if (isMainThread) {
  for (const place of where) {
    if (place === 'here') choose();
    else {
      const threads = [1, 2].map(() => new Worker(fileURLToPath(import.meta.url), { argv: [name] }));
      await Promise.all(threads.map((thread) => once(thread, 'exit')));
    }
  }
} else {
  choose();
}
