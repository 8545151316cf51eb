// Sends a file as the example does, and kills itself when a quarter of it has arrived. Usage: dying-sender.js HOST PORT FILE
import { sendFile } from '../../../examples/file-sender/sender.js';
import { connect } from '../../../src/endpoint/connect.js';

const [host, port, file] = process.argv.slice(2);
const endpoint = await connect({ host, port: Number(port) });
await sendFile(endpoint, file, (done, bytes) => {
  if (done >= bytes / 4) process.kill(process.pid, 'SIGKILL');
});
