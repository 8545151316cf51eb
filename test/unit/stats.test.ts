import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { inUnits } from '../../src/cli/units.js';
import { publishStatistics } from '../../src/publish/publish.js';
import type { Snapshot } from '../../src/publish/snapshot.js';
import { PROGRAM } from '../cli.js';
import { modelled } from './cache-fixture.js';

const PUBLISHING = fileURLToPath(new URL('./publishing.js', import.meta.url));

describe('rdma-regcache stats', function () {
  this.timeout(180_000);

  let folder: string;
  let env: NodeJS.ProcessEnv;
  const saved = process.env['XDG_RUNTIME_DIR'];
  const children: ChildProcess[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'stats-'));
    process.env['XDG_RUNTIME_DIR'] = folder;
    // Where nothing else of this user lies.
    env = { ...process.env, XDG_RUNTIME_DIR: folder, TMPDIR: folder };
  });
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    if (saved === undefined) delete process.env['XDG_RUNTIME_DIR'];
    else process.env['XDG_RUNTIME_DIR'] = saved;
    rmSync(folder, { recursive: true, force: true });
  });

  /** Runs the command to its end, while this process answers. */
  const stats = (...args: string[]): Promise<{ status: number; stdout: string; stderr: string }> =>
    new Promise((resolve) => {
      const child = execFile(process.execPath, [PROGRAM, 'stats', ...args], { env }, (_, stdout, stderr) => {
        resolve({ status: child.exitCode ?? -1, stdout, stderr });
      });
    });
  const jsonOf = async (...args: string[]): Promise<Snapshot> => {
    const { status, stdout, stderr } = await stats('--once', '--json', ...args);
    assert.equal(status, 0, stderr);
    return JSON.parse(stdout) as Snapshot;
  };
  const publishing = async (): Promise<ChildProcess & { pid: number }> => {
    const child = spawn(process.execPath, [PUBLISHING], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    await once(child.stdout, 'data');
    return child as ChildProcess & { pid: number };
  };

  it('tells the statistics and sizes of a cache, by socket, by process and without either', async () => {
    const { cache, pages } = modelled();
    using published = publishStatistics(cache);
    pages(0, 2).release();
    pages(0, 2).release();
    for (const args of [[published.path], [String(process.pid)], []]) {
      const { schema, pid, caches } = await jsonOf(...args);
      assert.deepEqual({ schema, pid }, { schema: 1, pid: process.pid });
      const [{ statistics, sizes, thread, monitor }] = caches;
      assert.deepEqual(statistics, cache.statistics());
      assert.equal(statistics.hits, 1);
      assert.deepEqual(sizes, cache.sizes());
      assert.equal(thread, 0);
      assert.equal(monitor, cache.monitorChoice.kind);
    }
  });

  it('lets only this user near the socket', async () => {
    using published = publishStatistics(modelled().cache);
    await jsonOf(published.path);
    assert.equal(statSync(published.path).mode & 0o777, 0o600);
    assert.equal(statSync(dirname(published.path)).mode & 0o777, 0o700);
    assert.equal(dirname(dirname(published.path)), folder);
  });

  it('prints an aligned table for each cache', async () => {
    const [first, second] = [modelled(), modelled()];
    using one = publishStatistics(first.cache, { name: 'one' });
    using two = publishStatistics(second.cache, { name: '\x1b[2Jtwo' });
    first.pages(0, 2).release();
    const { stdout } = await stats('--once');
    const lines = stdout.split('\n');
    assert.match(lines[0], new RegExp(`^process ${process.pid}  `));
    assert.ok(
      stdout.includes('one (') && stdout.includes('?[2Jtwo ('),
      'names, without what a terminal acts on',
    );
    const numbers = lines.filter((line) => /^ {2}(acquires|registrationMicroseconds) /.test(line));
    assert.equal(numbers.length, 4);
    const width = (line: string): number => line.length;
    assert.equal(width(numbers[0]), width(numbers[1]), 'numbers end at the same column');
    assert.match(stdout, /^ {2}pinnedBytes +8 KiB$/m);
    assert.match(stdout, /^ {2}from 8 KiB +1$/m);
    assert.equal(one.path, two.path);
  });

  it('shows a cache that was stopped or closed no more, and no socket after the last', async () => {
    const [first, second, third] = [modelled(), modelled(), modelled()];
    const one = publishStatistics(first.cache, { name: 'one' });
    const two = publishStatistics(second.cache, { name: 'two' });
    publishStatistics(third.cache, { name: 'three' });
    third.cache.close();
    assert.deepEqual(
      (await jsonOf(one.path)).caches.map(({ name }) => name),
      ['one', 'two'],
    );
    one.stop();
    one.stop();
    assert.deepEqual(
      (await jsonOf(one.path)).caches.map(({ name }) => name),
      ['two'],
    );
    two.stop();
    assert.ok(!existsSync(two.path));
    const { status, stdout, stderr } = await stats('--once', two.path);
    assert.deepEqual([status, stdout], [1, '']);
    assert.match(stderr, /does not take part/);
  });

  it('goes on each second, with all threads of the process, until it ends', async () => {
    const { pid } = await publishing();
    const child = spawn(process.execPath, [PROGRAM, 'stats', String(pid), '--json'], { env });
    children.push(child);
    // The last of stderr may come after the process has gone.
    const closed = once(child, 'close');
    let stderr = '';
    child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
    const seen: Snapshot[] = [];
    for await (const line of createInterface(child.stdout)) {
      seen.push(JSON.parse(line) as Snapshot);
      if (seen.length === 2) process.kill(pid, 'SIGKILL');
    }
    const [first, second] = seen.map(({ caches }) => caches);
    for (const caches of [first, second]) {
      assert.deepEqual(caches.map(({ name }) => name).sort(), ['of its thread', 'of the program']);
    }
    assert.ok(second[0].statistics.hits > first[0].statistics.hits);
    assert.deepEqual(await closed, [0, null]);
    assert.equal(stderr, `process ${pid} has ended\n`);
  });

  it('has rates from the second look on', async () => {
    const { pid } = await publishing();
    const child = spawn(process.execPath, [PROGRAM, 'stats', String(pid)], { env });
    children.push(child);
    const hits: string[] = [];
    for await (const line of createInterface(child.stdout)) {
      if (/^ {2}hits/.test(line)) hits.push(line);
      if (hits.length === 4) break;
    }
    assert.match(hits[0], /^ {2}hits +[\d,]+$/);
    assert.match(hits[2], /^ {2}hits +[\d,]+ +[\d,]+$/);
  });

  it('asks which process, when there are several', async () => {
    const { pid } = await publishing();
    using published = publishStatistics(modelled().cache);
    const { status, stderr } = await stats('--once');
    assert.equal(status, 1, published.path);
    assert.match(stderr, /several processes take part/);
    assert.ok(stderr.includes(` ${pid} `) && stderr.includes(` ${process.pid} `), stderr);
  });

  it('passes over what a process that was killed has left behind', async () => {
    const killed = await publishing();
    killed.kill('SIGKILL');
    await once(killed, 'exit');
    assert.match((await stats('--once')).stderr, /no process of this user takes part/);
    using published = publishStatistics(modelled().cache);
    assert.equal((await jsonOf()).pid, process.pid, published.path);
  });

  describe('given what is wrong', () => {
    for (const [args, expected] of [
      [['nonsense'], 2],
      [['1', '2'], 2],
      [['--jsn'], 2],
      [['999999999'], 1],
      [['/nowhere/socket'], 1],
      [['/'], 1],
    ] as const) {
      it(`ends with ${expected}: ${args.join(' ')}`, async () => {
        const { status, stdout, stderr } = await stats('--once', ...args);
        assert.equal(status, expected, stderr);
        assert.equal(stdout, '');
        assert.match(stderr, /^rdma-regcache: /);
      });
    }

    const answering = async (answer: (socket: Socket) => void): Promise<[Server, string]> => {
      const path = join(folder, 'other');
      const server = createServer((socket) => {
        socket.on('error', () => undefined);
        answer(socket);
      });
      server.listen(path);
      await once(server, 'listening');
      return [server, path];
    };
    const ANSWERS: Record<string, string> = {
      'no JSON': 'HTTP/1.1 400 Bad Request\r\n\r\n',
      'other JSON': '{"schema":1,"pid":1,"title":"x","caches":[{"name":"y"}]}\n',
      'another schema': '{"schema":2,"pid":1,"title":"x","caches":[]}\n',
      'a number': '7\n',
      'too much': 'x'.repeat(5 << 20),
    };
    for (const [what, text] of Object.entries(ANSWERS)) {
      it(`does not take ${what} for statistics`, async () => {
        const [server, path] = await answering((socket) => socket.end(text));
        const { status, stdout, stderr } = await stats('--once', path);
        server.close();
        assert.deepEqual([status, stdout], [1, '']);
        assert.match(stderr, /who answers there is no process with this package/);
      });
    }

    it('refuses a folder that is not this user alone', async () => {
      const { cache } = modelled();
      const own = join(folder, 'rdma-regcache');
      mkdirSync(join(folder, 'elsewhere'), { mode: 0o700 });
      symlinkSync(join(folder, 'elsewhere'), own);
      // The other folder is this user's own and serves.
      const TMPDIR = process.env['TMPDIR'];
      process.env['TMPDIR'] = folder;
      try {
        const second = join(folder, `rdma-regcache-${process.getuid!()}`);
        mkdirSync(second, { mode: 0o755 });
        assert.throws(() => publishStatistics(cache), {
          code: 'ERR_INVALID_OPTION',
          message: /rdma-regcache is not this user's alone; .*-\d+ is not this user's alone$/,
        });
        rmSync(second, { recursive: true });
        using published = publishStatistics(cache);
        assert.equal(dirname(published.path), second);
        await jsonOf(published.path);
      } finally {
        if (TMPDIR === undefined) delete process.env['TMPDIR'];
        else process.env['TMPDIR'] = TMPDIR;
      }
    });

    it('refuses what is no cache, no name, or closed', () => {
      const { cache } = modelled();
      assert.throws(() => publishStatistics({} as never), { code: 'ERR_INVALID_OPTION' });
      assert.throws(() => publishStatistics(cache, { name: 1 as never }), { code: 'ERR_INVALID_OPTION' });
      cache.close();
      assert.throws(() => publishStatistics(cache), { code: 'ERR_CLOSED' });
    });
  });

  it('does not keep a process alive', async () => {
    const script = join(folder, 'ends.mjs');
    const from = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
    writeFileSync(
      script,
      `import { publishStatistics } from ${from('../../src/publish/publish.js')};
      import { modelled } from ${from('./cache-fixture.js')};
      console.log(publishStatistics(modelled().cache).path);`,
    );
    const child = spawn(process.execPath, [script], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    let path = '';
    child.stdout.on('data', (text: Buffer) => (path += text.toString()));
    const ended = await Promise.race([once(child, 'close'), sleep(90_000, undefined, { ref: false })]);
    assert.deepEqual(ended, [0, null]);
    assert.ok(path.includes('.socket') && !existsSync(path.trim()), 'the socket goes with it');
  });

  it('names bytes by their unit', () => {
    assert.deepEqual([0, 1, 1023, 4096, 6144, 2 ** 21, 2 ** 50].map(inUnits), [
      ...['0 B', '1 B', '1023 B', '4 KiB', '6 KiB', '2 MiB', '1024 TiB'],
    ]);
  });
});
