/** A client sends messages to a server, which sends each of them back: how long does that take? */
import { connect } from 'rdma-regcache';
import { run } from '../command-line.js';
import { reachServer } from '../server-process.js';
import { MOST_BYTES, parseOptions } from './options.js';
import { keepPolling, pingPong } from './ping-pong.js';
import { render, resultOf, type Result } from './report.js';
import { serve } from './server.js';

const { role, sizes, roundTrips, poll, json } = parseOptions(process.argv.slice(2));

await run('ping-pong', async () => {
  if (role.is === 'server') {
    await serve(role.port, poll);
    return;
  }
  using server = await reachServer(role, import.meta.url, poll ? ['--poll'] : []);
  const { host, port } = server;
  await using endpoint = await connect({
    host,
    port,
    polling: poll,
    // One message is under way at a time.
    receiveBuffers: 2,
    receiveSize: Math.min(MOST_BYTES, Math.max(...sizes)),
  });
  if (poll) void keepPolling(endpoint);
  const results: Result[] = [];
  for (const bytes of sizes) results.push(resultOf(bytes, await pingPong(endpoint, bytes, roundTrips)));
  if (json) console.log(JSON.stringify({ schema: 1, name: 'ping-pong', poll, results }, null, 2));
  else console.log(render(results, poll));
});
