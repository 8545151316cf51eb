import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PROJECT } from '../../native/vm/project.js';
import { VARIABLES } from '../../src/environment.js';
import { requireRoot } from '../../src/cli/module/install.js';
import { paintFor, plain, wrap } from '../../src/cli/terminal.js';
import { cli } from '../cli.js';

const { version } = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8')) as { version: string };

describe('rdma-regcache, the program', function () {
  this.timeout(60_000);

  it('names its commands and all environment variables in --help', () => {
    const { status, stdout } = cli(['--help']);
    assert.equal(status, 0);
    for (const word of ['doctor', 'module build', 'module install', 'module status', 'stats'])
      assert.ok(stdout.includes(word));
    for (const { name, values, meaning } of Object.values(VARIABLES)) {
      assert.ok(stdout.includes(name) && stdout.includes(values) && stdout.includes(meaning), name);
    }
    assert.ok(stdout.split('\n').every((line) => line.length <= 120));
  });

  it('explains each command', () => {
    assert.match(cli(['doctor', '--help']).stdout, /^Usage: rdma-regcache doctor/);
    assert.match(cli(['stats', '--help']).stdout, /^Usage: rdma-regcache stats/);
    for (const args of [
      ['module', '--help'],
      ['module', 'build', '--help'],
    ]) {
      assert.match(cli(args).stdout, /^Usage: rdma-regcache module build\|install\|status/);
    }
  });

  it('tells its version', () => {
    assert.equal(cli(['--version']).stdout, `${version}\n`);
  });

  for (const args of [
    [],
    ['docter'],
    ['doctor', '--jsn'],
    ['module'],
    ['module', 'remove'],
    ['module', 'build', 'x'],
  ]) {
    it(`does not understand '${args.join(' ')}', and shows what there is`, () => {
      const { status, stdout, stderr } = cli(args);
      assert.equal(status, 2);
      assert.equal(stdout, '');
      assert.match(stderr, /^rdma-regcache: [^]*Usage: rdma-regcache /);
    });
  }

  it('says how to get the headers of a kernel that has none here', () => {
    const { status, stderr } = cli(['module', 'build', '--kernel', '9.9.9-none']);
    assert.equal(status, 1);
    assert.match(
      stderr,
      /missing: the headers of Linux 9\.9\.9-none \(\/lib\/modules\/9\.9\.9-none\/build\)[^]*sudo (apt-get|dnf) install \S*9\.9\.9-none/,
    );
  });

  it('names the compiler that the kernel was built with, whatever machine is said before it', () => {
    const headers = mkdtempSync(join(tmpdir(), 'rdma-regcache-'));
    try {
      mkdirSync(join(headers, 'include/generated'), { recursive: true });
      writeFileSync(join(headers, 'include/generated/utsrelease.h'), '#define UTS_RELEASE "9.9.9-none"\n');
      writeFileSync(join(headers, 'Makefile'), '');
      for (const compiler of ['gcc-99', 'x86_64-linux-gnu-gcc-99', 'clang-99']) {
        writeFileSync(
          join(headers, '.config'),
          `CONFIG_CC_VERSION_TEXT="${compiler} (Debian 99.1.0-1) 99.1.0"\n`,
        );
        const { status, stderr } = cli(['module', 'build', '--headers', headers]);
        assert.equal(status, 1);
        assert.match(stderr, new RegExp(`missing: ${compiler.replace(/^x86.*gnu-/, '')}\\n`));
      }
    } finally {
      rmSync(headers, { recursive: true });
    }
  });

  it('says how to get make and the compiler too, in one command', () => {
    const empty = mkdtempSync(join(tmpdir(), 'rdma-regcache-'));
    try {
      const { stderr } = cli(['module', 'build', '--kernel', '9.9.9-none'], { PATH: empty });
      assert.match(stderr, /, make, gcc\n\n {2}sudo apt-get install linux-headers-9\.9\.9-none make gcc\n/);
    } finally {
      rmSync(empty, { recursive: true });
    }
  });

  it('refuses a folder that holds no headers', () => {
    const { status, stderr } = cli(['module', 'build', '--headers', tmpdir()]);
    assert.equal(status, 1);
    assert.match(stderr, /does not hold the headers of a configured kernel/);
  });

  it('looks at the device that the environment names', () => {
    const { status, stdout } = cli(['module', 'status', '--json'], { RDMA_REGCACHE_DEVICE: '/dev/null' });
    assert.equal(status, 1);
    const { device } = JSON.parse(stdout) as { device: { path: string; error: string } };
    assert.equal(device.path, '/dev/null');
    assert.match(device.error, /\/dev\/null is not an ummunotify device/);
  });

  it('gives an ordinary user the command that installs', () => {
    assert.throws(() => {
      requireRoot(['--kernel', '6.1'], 1000);
    }, /this needs root:\n\n {2}sudo \S+ \S+main\.js module install --kernel 6\.1$/);
  });

  it('works through the link that npm makes to what npm packs', () => {
    const folder = mkdtempSync(join(tmpdir(), 'rdma-regcache-'));
    try {
      const packed = execFileSync(
        'npm',
        ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder],
        {
          cwd: PROJECT,
          encoding: 'utf8',
        },
      );
      const modules = join(folder, 'node_modules');
      mkdirSync(join(modules, '.bin'), { recursive: true });
      execFileSync('tar', ['-xzf', join(folder, packed.trim()), '-C', modules]);
      for (const name of ['koffi', 'lru-cache', '@koromix'])
        symlinkSync(join(PROJECT, 'node_modules', name), join(modules, name));
      // As npm does with what `bin` names.
      const { bin } = JSON.parse(readFileSync(join(modules, 'package/package.json'), 'utf8')) as {
        bin: Record<string, string>;
      };
      const link = join(modules, '.bin/rdma-regcache');
      symlinkSync(join('../package', bin['rdma-regcache']), link);
      chmodSync(link, 0o755);
      assert.equal(execFileSync(link, ['--version'], { encoding: 'utf8' }), `${version}\n`);
      const { sources } = JSON.parse(
        execFileSync('sh', ['-c', '"$0" module status --json || true', link], { encoding: 'utf8' }),
      ) as { sources: { version: string; folder: string } };
      assert.deepEqual(sources, { version: '1.0.0', folder: join(modules, 'package/native/ummunotify') });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('output for people', () => {
  it('has colours on a terminal only, and not with NO_COLOR', () => {
    assert.equal(paintFor({ isTTY: true }, {})('red', 'x'), '\x1b[31mx\x1b[0m');
    assert.equal(paintFor({ isTTY: true }, { NO_COLOR: '' })('red', 'x'), '\x1b[31mx\x1b[0m');
    assert.equal(paintFor({ isTTY: false }, {}), plain);
    assert.equal(paintFor({ isTTY: true }, { NO_COLOR: '1' }), plain);
  });

  it('breaks lines at spaces', () => {
    assert.deepEqual(wrap('one two three', 7), ['one two', 'three']);
    assert.deepEqual(wrap('incomprehensible', 4), ['incomprehensible']);
    assert.deepEqual(wrap('an incomprehensible word', 4), ['an', 'incomprehensible', 'word']);
  });
});
