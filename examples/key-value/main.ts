/** A key-value server whose clients read its memory. */
import { run } from '../command-line.js';
import { reachServer } from '../server-process.js';
import { KeyValueClient } from './client.js';
import { demonstrate, render } from './demonstration.js';
import { parseOptions } from './options.js';
import { serve } from './server.js';

const { role, shape, command, json } = parseOptions(process.argv.slice(2));

await run('key-value', async () => {
  if (role.is === 'server') {
    await serve(role.port, shape);
    return;
  }
  const { slots, slotBytes } = shape;
  const table = ['--slots', String(slots), '--slot-bytes', String(slotBytes)];
  using server = await reachServer(role, import.meta.url, table);
  if (command.is === 'demonstration') {
    const loads = await demonstrate(server, command);
    if (json) console.log(JSON.stringify({ schema: 1, name: 'key-value', clients: loads }, null, 2));
    else console.log(render(loads));
    if (loads.some(({ wrong }) => wrong > 0)) process.exitCode = 1;
    return;
  }
  await using client = await KeyValueClient.connect(server.host, server.port);
  const { is, key } = command;
  if (is === 'put') {
    await client.put(key, Buffer.from(command.value));
    return;
  }
  const entry = await client.get(key);
  if (entry === undefined) throw new Error(`there is no '${key}'`);
  console.log(json ? JSON.stringify({ ...entry, value: entry.value.toString() }) : entry.value.toString());
});
