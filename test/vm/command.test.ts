import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT } from '../../native/vm/project.js';
import { runVm, type Ended } from './runner.js';

const ARGUMENTS = [
  '',
  'two words',
  `it's "quoted"`,
  '$HOME `id` \\n',
  'line\nline',
  '*',
  '--limit',
  'ä→',
  '-',
];

const PROGRAM = `
  const { writeFileSync, existsSync, readFileSync } = require('node:fs');
  const [kept, lost, ...args] = process.argv.slice(1);
  writeFileSync(kept, 'kept');
  writeFileSync(lost, 'lost');
  writeFileSync('/tmp/rdma-regcache-lost', 'lost');
  console.error(JSON.stringify({
    args, folder: process.cwd(), user: process.getuid(), given: process.env.RDMA_REGCACHE_TEST, hidden: process.env.HIDDEN,
    rdma: existsSync('/sys/class/infiniband/rxe0'), driver: existsSync('/dev/ummunotify'),
    memlock: /Max locked memory +(\\w+)/.exec(readFileSync('/proc/self/limits', 'utf8'))[1],
  }));
  const all = Buffer.alloc(256 * 1024).map((_, index) => index);
  process.stdout.write(all, () => process.exit(7));
`;

describe('a command in the virtual machine', function () {
  this.timeout(300_000);

  const kept = join(PROJECT, 'test/results', `kept-${process.pid}`);
  const lost = join(PROJECT, `lost-${process.pid}`);
  let first: Ended;
  let second: Ended;
  let seen: Record<string, unknown>;

  before('boot two at once', async () => {
    const env = { ...process.env, RDMA_REGCACHE_TEST: "a 'b'\nc", HIDDEN: 'yes' };
    [first, second] = await Promise.all([
      runVm([process.execPath, '-e', PROGRAM, kept, lost, ...ARGUMENTS], env),
      runVm(['--limit', '2', '--memory', '1024', 'sleep', '1000']),
    ]);
    assert.equal(first.status, 7, first.stderr);
    // A change of the driver's sources meanwhile makes the runner say that it builds it, in lines before this one.
    seen = JSON.parse(first.stderr.trimEnd().split('\n').at(-1)!) as Record<string, unknown>;
  });

  after(() => {
    rmSync(kept, { force: true });
    rmSync(lost, { force: true });
  });

  it('hands back its exit status', () => {
    assert.equal(first.status, 7);
  });

  it('hands back its stdout byte for byte, apart from stderr', () => {
    assert.equal(first.stdout.length, 256 * 1024);
    assert.ok(first.stdout.every((byte, index) => byte === (index & 255)));
  });

  it('gets its arguments exactly', () => {
    assert.deepEqual(seen['args'], ARGUMENTS);
  });

  it('runs as root in the folder of the project, without a limit of locked memory', () => {
    assert.equal(seen['folder'], PROJECT);
    assert.equal(seen['user'], 0);
    assert.equal(seen['memlock'], 'unlimited');
  });

  it('sees the RDMA device and the driver', () => {
    assert.equal(seen['rdma'], true);
    assert.equal(seen['driver'], true);
  });

  it('gets the part of the environment that is meant for it', () => {
    assert.equal(seen['given'], "a 'b'\nc");
    assert.equal(seen['hidden'], undefined);
  });

  it('leaves on the host what it writes to the results, and nothing else', () => {
    assert.equal(readFileSync(kept, 'utf8'), 'kept');
    assert.ok(!existsSync(lost));
    assert.ok(!existsSync('/tmp/rdma-regcache-lost'));
  });

  it('ends with 124 after its time limit', () => {
    assert.equal(second.status, 124);
    assert.match(second.stderr, /the command took longer than its limit of 2 s/);
  });
});
