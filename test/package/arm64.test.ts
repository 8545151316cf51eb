import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT } from '../../native/vm/project.js';
import {
  BATCH,
  EVENT,
  REGISTER,
  UMMUNOTIFY_EXCHANGE_FEATURES,
  UMMUNOTIFY_REGISTER_REGION,
  UMMUNOTIFY_UNREGISTER_BATCH,
  UMMUNOTIFY_UNREGISTER_REGION,
} from '../../src/monitor/ummunotify-abi.js';
import { needs } from '../needs.js';

const COMPILER = 'aarch64-linux-gnu-gcc';
const FLAGS = [
  '-std=gnu11',
  '-O2',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-pthread',
  '-fPIC',
  '-c',
  '-o',
  '/dev/null',
];

/** Compiles a file for arm64, or a text for `-`, with all that its warnings find. */
function compile(path: string, text?: string): { status: number | null; stderr: string } {
  const include = ['-I', join(PROJECT, 'native', 'ummunotify', 'include', 'uapi')];
  const { status, stderr } = spawnSync(COMPILER, [...FLAGS, ...include, '-x', 'c', path], {
    encoding: 'utf8',
    ...(text === undefined ? {} : { input: text }),
  });
  return { status, stderr };
}

const below = (...folder: string[]): string[] =>
  readdirSync(join(PROJECT, ...folder))
    .filter((name) => name.endsWith('.c'))
    .map((name) => join(...folder, name));

const SOURCES = [
  ...below('native', 'monitor'),
  ...below('native', 'ummunotify', 'selftest'),
  'bench/kernel/client.c',
  'bench/coverage/elsewhere.c',
];

describe('the C sources, for arm64', function () {
  this.timeout(60_000);
  before(function () {
    needs(this, COMPILER, spawnSync(COMPILER, ['--version']).status === 0);
  });

  for (const path of SOURCES) {
    it(`${path} compiles without a warning`, () => {
      const { status, stderr } = compile(join(PROJECT, path));
      assert.equal(stderr, '');
      assert.equal(status, 0);
    });
  }

  it("the driver's interface has the numbers there that this package uses", () => {
    const numbers = {
      ...{ UMMUNOTIFY_EXCHANGE_FEATURES, UMMUNOTIFY_REGISTER_REGION },
      ...{ UMMUNOTIFY_UNREGISTER_REGION, UMMUNOTIFY_UNREGISTER_BATCH },
      'sizeof(struct ummunotify_event)': EVENT.SIZE,
      'sizeof(struct ummunotify_register_ioctl)': REGISTER.SIZE,
      'sizeof(struct ummunotify_batch)': BATCH.SIZE,
      '__builtin_offsetof(struct ummunotify_register_ioctl, reserved)': REGISTER.RESERVED,
      '__builtin_offsetof(struct ummunotify_event, hint_start)': EVENT.HINT_START,
    };
    const asserts = Object.entries(numbers).map(
      ([name, value]) => `_Static_assert(${name} == ${value}, "${name}");`,
    );
    const { status, stderr } = compile('-', ['#include <linux/ummunotify.h>', ...asserts, ''].join('\n'));
    assert.equal(stderr, '');
    assert.equal(status, 0);
  });
});
