import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, randomFillSync } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { Progress } from '../../../examples/file-sender/progress.js';
import { type Sent, sendFile } from '../../../examples/file-sender/sender.js';
import { startServer } from '../../../examples/server-process.js';
import { connect } from '../../../src/endpoint/connect.js';
import { needs } from '../../needs.js';
import { requireStack } from '../../system/stack.js';
import { mainOf, runExample } from './example.js';

const DYING = fileURLToPath(new URL('dying-sender.js', import.meta.url));
const BYTES = 48 * 2 ** 20 + 12_345;

const sizeOf = (path: string): number => (existsSync(path) ? statSync(path).size : 0);

describe('example: file-sender', function () {
  this.timeout(300_000);
  requireStack();

  let folder: string;
  let received: string;
  let file: string;
  let sha256: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'file-sender-'));
    file = join(folder, 'file');
    const content = randomFillSync(Buffer.alloc(BYTES));
    writeFileSync(file, content);
    sha256 = createHash('sha256').update(content).digest('hex');
  });
  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  beforeEach(() => {
    received = mkdtempSync(join(folder, 'received-'));
  });

  /** Send the file to a server. */
  const send = async ({ host, port }: { host: string; port: number }): Promise<Sent> => {
    const { status, stdout, stderr } = await runExample(
      'file-sender',
      ...['--host', host, '--port', String(port), '--json', file],
    );
    assert.equal(status, 0, stderr);
    assert.equal(stderr, '', 'there is no bar where there is no terminal');
    return JSON.parse(stdout) as Sent;
  };
  const assertArrived = (): void => {
    const arrived = readFileSync(join(received, 'file'));
    assert.equal(arrived.length, sizeOf(file));
    assert.ok(arrived.equals(readFileSync(file)), 'byte for byte');
    assert.ok(!existsSync(join(received, 'file.part')));
  };

  it('a_sender_killed_in_the_middle_goes_on_where_it_was', async () => {
    using server = await startServer(mainOf('file-sender'), ['--folder', received]);
    // By itself: whoever else looks how far it has got may look again when all has arrived.
    const { signal, stderr } = spawnSync(process.execPath, [DYING, server.host, String(server.port), file], {
      encoding: 'utf8',
      timeout: 120_000,
      killSignal: 'SIGTERM',
    });
    assert.equal(signal, 'SIGKILL', stderr);
    const had = sizeOf(join(received, 'file.part'));
    assert.ok(had >= BYTES / 4 && had < BYTES, `${had} bytes arrived before it was killed`);
    assert.ok(!existsSync(join(received, 'file')), 'half a file has not its name');

    const second = await send(server);
    assert.ok(second.alreadyThere >= had, `${second.alreadyThere} were there`);
    assert.equal(second.sent, BYTES - second.alreadyThere);
    assert.equal(second.sha256, sha256);
    assertArrived();
  });

  it('goes_on_from_no_other_beginning_than_its_own', async () => {
    using server = await startServer(mainOf('file-sender'), ['--folder', received]);
    const other = readFileSync(file).subarray(0, 1_000_000);
    other[999_999] ^= 1;
    writeFileSync(join(received, 'file.part'), other);
    assert.deepEqual(await send(server), {
      ...{ schema: 1, name: 'file-sender', bytes: BYTES, alreadyThere: 0, sent: BYTES, sha256 },
    });
    assertArrived();
  });

  it('sends_nothing_of_what_is_there_to_its_last_byte', async () => {
    using server = await startServer(mainOf('file-sender'), ['--folder', received]);
    writeFileSync(join(received, 'file.part'), readFileSync(file));
    const { alreadyThere, sent } = await send(server);
    assert.deepEqual({ alreadyThere, sent }, { alreadyThere: BYTES, sent: 0 });
    assertArrived();
  });

  it('sends_an_empty_file', async () => {
    writeFileSync(join(folder, 'empty'), '');
    const { status, stdout, stderr } = await runExample(
      'file-sender',
      ...['--folder', received, join(folder, 'empty')],
    );
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^0 bytes sent; SHA-256 e3b0c44298fc1c14/);
    const [, end] = stdout.split(`\nreceived in ${received}`);
    const inVm = process.env['RDMA_REGCACHE_VM'] === '1';
    assert.match(end, inVm ? /^ of the virtual machine, whose files end with it.*\n$/ : /^\n$/);
    assert.equal(statSync(join(received, 'empty')).size, 0);
  });

  it('says_of_no_file_that_it_is_there_when_it_is_not', async () => {
    const temporary = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('received-'));
    const before = temporary();
    writeFileSync(join(folder, 'small'), 'a few bytes');
    const { status, stdout, stderr } = await runExample('file-sender', join(folder, 'small'));
    assert.equal(status, 0, stderr);
    assert.ok(
      stdout.endsWith('\nreceived in a temporary folder, which is removed again; --folder names another\n'),
    );
    assert.deepEqual(temporary(), before);
  });

  it('says_what_is_wrong_in_a_line', async () => {
    const missing = await runExample('file-sender', '--folder', received, join(folder, 'missing'));
    assert.equal(missing.status, 1);
    assert.match(missing.stderr, /^file-sender: ENOENT.*missing'$/m);
    const nowhere = await runExample('file-sender', '--folder', join(folder, 'nowhere'), file);
    assert.equal(nowhere.status, 1);
    assert.match(nowhere.stderr, /^file-sender: the receiver says: ENOENT.*nowhere\/file\.part'$/m);
  });

  it('what_the_receiver_fails_of_in_the_end_is_told_the_sender', async () => {
    mkdirSync(join(received, 'file'));
    writeFileSync(join(received, 'file.part'), readFileSync(file));
    const { status, stderr } = await runExample('file-sender', '--folder', received, file);
    assert.equal(status, 1);
    assert.match(stderr, /^file-sender: the receiver says: EISDIR\b.*$/m);
    assert.equal(sizeOf(join(received, 'file.part')), BYTES, 'all of it is there');
  });

  it('what_the_receiver_fails_of_in_the_middle_is_told_the_sender', async function () {
    needs(this, 'root');
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', received]);
    try {
      const { status, stderr } = await runExample('file-sender', '--folder', received, file);
      assert.equal(status, 1);
      assert.match(stderr, /^file-sender: the receiver says: ENOSPC\b.*$/m);
    } finally {
      execFileSync('umount', ['--lazy', received]);
    }
  });

  it('takes_no_name_that_is_that_of_half_a_file', async () => {
    using server = await startServer(mainOf('file-sender'), ['--folder', received]);
    await using endpoint = await connect({ host: server.host, port: server.port });
    writeFileSync(join(folder, 'file.part'), 'whole');
    await assert.rejects(
      sendFile(endpoint, join(folder, 'file.part'), () => undefined),
      /the receiver says: 'file\.part' is no name for a file here/,
    );
    assert.deepEqual(readdirSync(received), []);
  });

  describe('its bar', () => {
    const shown = (isTTY: boolean): string => {
      let text = '';
      const progress = new Progress({
        isTTY,
        columns: 28,
        write: (written: string | Uint8Array) => {
          text += String(written);
          return true;
        },
      });
      for (const done of [0, 1, 500, 505, 1000]) progress.show(done, 1000);
      progress.end();
      return text;
    };

    it('grows_on_a_terminal', () => {
      assert.equal(
        stripVTControlCharacters(shown(true)),
        [
          `\r  0 % [${'.'.repeat(20)}]`,
          `\r 50 % [${'#'.repeat(10)}${'.'.repeat(10)}]`,
          `\r100 % [${'#'.repeat(20)}]`,
          '\n',
        ].join(''),
      );
    });

    it('is_nowhere_else', () => {
      assert.equal(shown(false), '');
    });
  });
});
