import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runWithTheirLibc } from '../../native/vm/newer-programs.js';
import { needs } from '../needs.js';

const LIBRARIES = '/lib/x86_64-linux-gnu';
const LIBC = ['ld-linux-x86-64.so.2', 'libc.so.6'];

describe('programs of a newer distribution', () => {
  let folder = '';
  const tools = (): string => join(folder, 'usr/lib/tools');

  before(function () {
    const there = process.arch === 'x64' && LIBC.every((name) => existsSync(join(LIBRARIES, name)));
    needs(this, 'the C library of x86-64', there);
  });
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'regcache-newer-'));
    mkdirSync(join(tools(), 'scripts'), { recursive: true });
    mkdirSync(join(folder, 'libc'));
    for (const name of LIBC) copyFileSync(join(LIBRARIES, name), join(folder, 'libc', name));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it('run with the libraries beside them, wherever all is moved to', () => {
    const program = join(tools(), 'scripts/echo');
    copyFileSync('/bin/echo', program);
    runWithTheirLibc(tools(), join(folder, 'libc'));
    const moved = `${folder}-moved`;
    renameSync(folder, moved);
    folder = moved;
    const run = (...args: string[]): string =>
      execFileSync(join(tools(), 'scripts/echo'), args, { encoding: 'utf8', stdio: 'pipe' });
    assert.equal(run('a b', '$c'), 'a b $c\n');
    rmSync(join(folder, 'libc'), { recursive: true });
    assert.throws(() => run());
  });

  it('that only choose among others are what they would choose', () => {
    for (const name of ['objtool', 'objtool.real-x86', 'objtool.real-powerpc'])
      copyFileSync(name.endsWith('x86') ? '/bin/echo' : '/bin/false', join(tools(), name));
    runWithTheirLibc(tools(), join(folder, 'libc'));
    assert.equal(execFileSync(join(tools(), 'objtool'), ['chosen'], { encoding: 'utf8' }), 'chosen\n');
  });

  it('may be scripts, which stay as they are', () => {
    const script = join(tools(), 'script');
    writeFileSync(script, '#!/bin/sh\necho hello\n', { mode: 0o755 });
    runWithTheirLibc(tools(), join(folder, 'libc'));
    assert.equal(readFileSync(script, 'utf8'), '#!/bin/sh\necho hello\n');
  });
});
