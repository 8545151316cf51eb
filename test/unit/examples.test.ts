import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT } from '../../native/vm/project.js';

const EXAMPLES = readdirSync(join(PROJECT, 'examples'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

/** What npm run example runs. */
function example(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [join(PROJECT, 'dist', 'examples', 'run.js'), ...args], {
    encoding: 'utf8',
  });
}

describe('npm run example', function () {
  this.timeout(60_000);

  it('lists the examples', () => {
    for (const args of [[], ['--help']]) {
      const { status, stdout } = example(...args);
      assert.equal(status, 0);
      const [, names] = /^NAME is one of (.*);/m.exec(stdout)!;
      assert.deepEqual(names.split(', ').sort(), EXAMPLES.sort());
    }
  });

  it('says that there is no such example', () => {
    const { status, stderr } = example('ping');
    assert.equal(status, 2);
    assert.match(stderr, /^There is no example 'ping'\.\n\nUsage: npm run example -- NAME/);
  });

  for (const name of EXAMPLES) {
    it(`${name} explains its options, and refuses others`, () => {
      const help = example(name, '--help');
      assert.equal(help.status, 0, help.stderr);
      assert.match(help.stdout, /^Usage: npm run /);
      const options = [...readOptions(name)];
      for (const option of options) assert.ok(help.stdout.includes(`  --${option} `), `--${option}`);
      const misspelt = example(name, '--no-such-option');
      assert.equal(misspelt.status, 2);
      assert.match(misspelt.stderr, /--no-such-option[^]*Usage: npm run /);
    });
  }

  for (const [args, message] of [
    [['ping-pong', '--sizes', '8,9999999'], "--sizes takes a whole number from 1 to 1048576, not '9999999'"],
    [['ping-pong', '--listen', '--host', 'there'], '--listen and --host are for different processes'],
    [['file-sender'], 'name one file to send'],
    [['file-sender', '--listen', 'file'], 'a server takes no file'],
    [['file-sender', '--host', 'there', '--folder', '.', 'file'], '--folder is for the server'],
    [['key-value', 'get', 'key'], 'get and put take --host'],
    [['key-value', '--host', 'there', 'put', 'key'], 'it is get KEY, or put KEY VALUE'],
    [['worker-pool', '--workers', '0'], "--workers takes a whole number from 1 to 256, not '0'"],
    [['stream', 'one', 'two'], 'name one file at most'],
  ] as const) {
    it(`${args.join(' ')}: says what is wrong`, () => {
      const { status, stderr } = example(...args);
      assert.equal(status, 2);
      assert.ok(stderr.startsWith(message), stderr);
    });
  }
});

/** Names in the table of options that an example gives to parseArgs. */
function* readOptions(name: string): Generator<string> {
  const source = readFileSync(join(PROJECT, 'examples', name, 'options.ts'), 'utf8');
  for (const [, option] of source.matchAll(/^\s+'?([a-z-]+)'?: \{ type: '(?:string|boolean)'/gm))
    yield option;
  if (source.includes('...ROLE_OPTIONS')) yield* ['listen', 'host', 'port'];
}
