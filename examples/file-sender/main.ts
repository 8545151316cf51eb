/** Sends a file through memory of the receiver's, goes on after an interruption, and compares checksums. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { connect } from 'rdma-regcache';
import { run } from '../command-line.js';
import { reachServer } from '../server-process.js';
import { parseOptions } from './options.js';
import { Progress } from './progress.js';
import { receiveFiles } from './receiver.js';
import { sendFile } from './sender.js';

const options = parseOptions(process.argv.slice(2));
const { role } = options;

await run('file-sender', async () => {
  if (role.is === 'server') {
    await receiveFiles(role.port, options.folder ?? '.');
    return;
  }
  using received = role.is === 'both' ? folderFor(options.folder) : undefined;
  using server = await reachServer(role, import.meta.url, received && ['--folder', received.path]);
  await using endpoint = await connect({ host: server.host, port: server.port });
  const progress = new Progress(process.stderr);
  const sent = await sendFile(endpoint, options.file!, (done, bytes) => {
    progress.show(done, bytes);
  }).finally(() => {
    progress.end();
  });
  if (options.json) console.log(JSON.stringify({ schema: 1, name: 'file-sender', ...sent }, null, 2));
  else {
    const before = sent.alreadyThere === 0 ? '' : `, ${sent.alreadyThere} were there already`;
    console.log(`${sent.sent} bytes sent${before}; SHA-256 ${sent.sha256} at both ends`);
    if (received !== undefined) console.log(received.text);
  }
});

/** Said of a folder where this is so. */
const IN_VM =
  process.env['RDMA_REGCACHE_VM'] === undefined
    ? ''
    : ' of the virtual machine, whose files end with it, but for those below test/results';

/** Where a server that is started here puts the file, and what is said of that; one for this once goes when disposed of. */
function folderFor(path: string | undefined): Disposable & { path: string; text: string } {
  if (path !== undefined) {
    const there = resolve(path);
    return { path: there, text: `received in ${there}${IN_VM}`, [Symbol.dispose]: () => undefined };
  }
  const temporary = mkdtempSync(join(tmpdir(), 'received-'));
  return {
    path: temporary,
    text: 'received in a temporary folder, which is removed again; with --folder it stays',
    [Symbol.dispose]: () => {
      // The server may still be at it, if this end gave up.
      rmSync(temporary, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}
