/** Runs quick-start.ts, which is to be read by itself. */
import { run } from '../command-line.js';
import { parseOptions } from './options.js';

parseOptions(process.argv.slice(2));
await run('quick-start', async () => {
  await import('./quick-start.js');
});
