/** Sends a file through memory of the receiver's, goes on after an interruption, and compares checksums. */
import { connect } from 'rdma-regcache';
import { run } from '../command-line.js';
import { reachServer } from '../server-process.js';
import { folderFor } from './folder.js';
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
