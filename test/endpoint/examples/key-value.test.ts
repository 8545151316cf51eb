import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { KeyValueClient } from '../../../examples/key-value/client.js';
import type { Load } from '../../../examples/key-value/load.js';
import { decode, Table } from '../../../examples/key-value/table.js';
import { tell } from '../../../examples/json-messages.js';
import { startServer } from '../../../examples/server-process.js';
import { Access } from '../../../src/access.js';
import { listen } from '../../../src/endpoint/listener.js';
import { requireStack } from '../../system/stack.js';
import { hostOfDevice } from '../fixture.js';
import { mainOf, runExample } from './example.js';

describe('example: key-value', function () {
  this.timeout(300_000);
  requireStack();

  it('what_was_put_can_be_got_by_all_clients', async () => {
    using server = await startServer(mainOf('key-value'), ['--slots', '64']);
    await using one = await KeyValueClient.connect(server.host, server.port);
    await using other = await KeyValueClient.connect(server.host, server.port);
    assert.equal(await other.get('a'), undefined);
    const values = new Map(['a', 'b', 'ключ', ''].map((key, n) => [key, randomBytes(n * 1300)]));
    await Promise.all([...values].map(([key, value]) => one.put(key, value)));
    for (const [key, value] of values)
      assert.deepEqual(await other.get(key), { key, value, version: 1 }, `key '${key}'`);
    await other.put('a', Buffer.from('a newer one'));
    assert.deepEqual(await one.get('a'), { key: 'a', value: Buffer.from('a newer one'), version: 2 });
    // Others at the same time, each in memory of its own.
    const keys = Array.from({ length: 40 }, (_, n) => ['b', 'ключ', ''][n % 3]);
    const got = await Promise.all(keys.map((key) => one.get(key)));
    for (const [n, key] of keys.entries()) assert.deepEqual(got[n]?.value, values.get(key));

    const shown = await runExample(
      'key-value',
      ...['--host', server.host, '--port', String(server.port), 'get', 'a'],
    );
    assert.deepEqual(shown, { status: 0, stdout: 'a newer one\n', stderr: '' });
  });

  it('a_table_that_has_no_room_says_so', async () => {
    using server = await startServer(mainOf('key-value'), ['--slots', '4', '--slot-bytes', '64']);
    await using client = await KeyValueClient.connect(server.host, server.port);
    const keys = ['a', 'b', 'c', 'd'];
    for (const key of keys) await client.put(key, Buffer.from(`value of ${key}`));
    await assert.rejects(client.put('e', Buffer.from('one more')), /the table has no room for 'e'/);
    await assert.rejects(client.put('a', Buffer.alloc(44)), /too long for a slot/);
    for (const key of keys) assert.equal((await client.get(key))?.value.toString(), `value of ${key}`);
    assert.equal(await client.get('e'), undefined);
  });

  it('a_client_gets_values_while_the_server_is_stopped', async () => {
    const server = spawn(process.execPath, [fileURLToPath(mainOf('key-value')), '--listen', '--port', '0'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const [line] = (await once(createInterface(server.stdout), 'line')) as [string];
      const port = Number(/^listening on port (\d+)$/.exec(line)![1]);
      await using client = await KeyValueClient.connect(hostOfDevice(), port);
      const value = randomBytes(4000);
      await client.put('key', value);
      server.kill('SIGSTOP');
      assert.deepEqual(await client.get('key'), { key: 'key', value, version: 1 });
      assert.equal(await client.get('none'), undefined);
    } finally {
      server.kill('SIGKILL');
    }
  });

  it('a_slot_that_is_being_written_is_read_again_until_it_is_whole', async () => {
    const table = new Table({ slots: 1, slotBytes: 4096 });
    await using listener = await listen();
    const connecting = KeyValueClient.connect(hostOfDevice(), listener.port);
    await using endpoint = await listener.accept();
    const memory = endpoint.expose(table.memory, Access.REMOTE_READ);
    await tell(endpoint, { slots: 1, slotBytes: 4096, memory });
    await using client = await connecting;

    table.put('key', Buffer.alloc(3000, 'old'));
    assert.deepEqual((await client.get('key'))?.value, Buffer.alloc(3000, 'old'));
    const old = Buffer.from(table.memory);
    table.put('key', Buffer.alloc(3000, 'new'));
    const now = Buffer.from(table.memory);
    // The server is at half of its copying.
    old.copy(table.memory, 2000, 2000);
    assert.equal(decode(Buffer.from(table.memory)), 'torn');
    const getting = client.get('key');
    while (client.torn < 3) await delay(1);
    now.copy(table.memory);
    assert.deepEqual((await getting)?.value, Buffer.alloc(3000, 'new'));
  });

  it('a_client_that_cannot_make_out_the_greeting_disconnects', async () => {
    await using listener = await listen();
    const connecting = KeyValueClient.connect(hostOfDevice(), listener.port);
    await using endpoint = await listener.accept();
    const closed = once(endpoint, 'close', { signal: AbortSignal.timeout(60_000) });
    await endpoint.send(Buffer.from('no JSON'));
    await assert.rejects(connecting, SyntaxError);
    await closed;
  });

  it('several_clients_never_get_a_torn_value', async () => {
    const { status, stdout, stderr } = await runExample(
      'key-value',
      ...['--clients', '3', '--reads', '300', '--slot-bytes', '65536', '--value-bytes', '60000', '--json'],
    );
    assert.equal(status, 0, stderr + stdout);
    const { clients } = JSON.parse(stdout) as { clients: Load[] };
    assert.deepEqual(
      clients.map(({ reads, wrong }) => ({ reads, wrong })),
      [1, 2, 3].map(() => ({ reads: 300, wrong: 0 })),
    );
    for (const { puts } of clients) assert.ok(puts > 0);
  });
});
