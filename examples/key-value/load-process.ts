// A client of the demonstration, started by it. Arguments: HOST PORT NUMBER READS VALUE_BYTES.
import { run } from '../command-line.js';
import { KeyValueClient } from './client.js';
import { putAndGet } from './load.js';

const [host, ...numbers] = process.argv.slice(2);
const [port, number, reads, valueBytes] = numbers.map(Number);
await run(`client ${number}`, async () => {
  await using client = await KeyValueClient.connect(host, port);
  process.send!(await putAndGet(client, number, reads, valueBytes));
});
