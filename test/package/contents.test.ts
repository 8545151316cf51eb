import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { PROJECT } from '../../native/vm/project.js';
import { linksOf } from '../markdown.js';
import { filesBelow, tarball, unpackInto } from './packed.js';

/** Whoever installs the package builds the module and, for some monitors, the C helper. */
const NATIVE = [
  /^native\/monitor\/(README\.md|[a-z-]+\.[ch])$/,
  /^native\/ummunotify\/(README\.md|Kbuild|Makefile|dkms\.conf|60-ummunotify\.rules|[a-z]+\.[ch])$/,
  /^native\/ummunotify\/include\/uapi\/linux\/ummunotify\.h$/,
];
const EXAMPLE = /^examples\/([a-z-]+\/)?[a-z-]+\.ts$/;
/** The demonstration maps memory as the package has no interface for, and the runner boots the virtual machine. */
const OF_A_CLONE = /^examples\/(run\.ts|stale-registration\/.*)$/;
const PROSE = [/^(README|CHANGELOG|CONTRIBUTING)\.md$/, /^LICENSE$/, /^docs\/[a-z-]+\.md$/];

const isOneOf = (patterns: readonly RegExp[], path: string): boolean =>
  patterns.some((pattern) => pattern.test(path));

describe('the package, as npm packs it', function () {
  this.timeout(120_000);

  let folder: string;
  let root: string;
  let files: readonly string[];
  const text = (path: string): string => readFileSync(join(root, path), 'utf8');
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'regcache-contents-'));
    root = unpackInto(folder);
    files = filesBelow(root);
  });
  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it('has what every module of src was compiled to, and no module that src has not', () => {
    const modules = filesBelow(join(PROJECT, 'src')).map((path) => path.replace(/\.ts$/, ''));
    const expected = modules.flatMap((path) => [`${path}.d.ts`, `${path}.js`, `${path}.js.map`]);
    const found = files.filter((path) => path.startsWith('dist/src/')).map((path) => path.slice(9));
    assert.deepEqual(found, expected.sort());
  });

  it("has the sources of the kernel module and of the monitors' helper", () => {
    const native = filesBelow(join(PROJECT, 'native')).map((path) => join('native', path));
    const expected = native.filter((path) => isOneOf(NATIVE, path) && !path.endsWith('.mod.c'));
    for (const needed of ['native/ummunotify/Kbuild', 'native/ummunotify/main.c', 'native/monitor/board.c'])
      assert.ok(expected.includes(needed), needed);
    const found = files.filter((path) => path.startsWith('native/'));
    assert.deepEqual(found, expected);
  });

  it('has what there is to read', () => {
    for (const path of ['README.md', 'CHANGELOG.md', 'LICENSE']) assert.ok(files.includes(path), path);
  });

  it('has the examples to start from', () => {
    const examples = filesBelow(join(PROJECT, 'examples'))
      .map((path) => join('examples', path))
      .filter((path) => !OF_A_CLONE.test(path));
    assert.ok(examples.includes('examples/quick-start/quick-start.ts'));
    assert.deepEqual(
      files.filter((path) => path.startsWith('examples/')),
      examples,
    );
  });

  it('has examples that compile with nothing but what it has', () => {
    symlinkSync(join(PROJECT, 'node_modules'), join(root, 'node_modules'));
    const examples = files.filter((path) => EXAMPLE.test(path));
    const compiler = join(PROJECT, 'node_modules', 'typescript', 'bin', 'tsc');
    const options = '--noEmit --strict --module nodenext --target es2022 --types node';
    const { status, stdout } = spawnSync(process.execPath, [compiler, ...options.split(' '), ...examples], {
      cwd: root,
      encoding: 'utf8',
    });
    rmSync(join(root, 'node_modules'));
    assert.deepEqual([status, stdout], [0, '']);
  });

  it('has what its pages link to', () => {
    const pages = files.filter((path) => path.endsWith('.md'));
    assert.ok(pages.includes('README.md'));
    const dead = pages.flatMap((page) =>
      linksOf(join(root, page))
        .map(({ target }) => relative(root, target))
        .filter((target) => !files.some((file) => file === target || file.startsWith(`${target}/`)))
        .map((target) => `${page} -> ${target}`),
    );
    assert.deepEqual(dead, []);
  });

  it('has nothing else', () => {
    const known = [...NATIVE, ...PROSE, EXAMPLE, /^package\.json$/];
    const rest = files.filter((path) => !path.startsWith('dist/src/') && !isOneOf(known, path));
    assert.deepEqual(rest, []);
  });

  it('can run the program', () => {
    const { bin } = JSON.parse(text('package.json')) as { bin: Partial<Record<string, string>> };
    const main = bin['rdma-regcache'] ?? '';
    assert.match(text(main), /^#!\/usr\/bin\/env node\n/);
    assert.ok(statSync(join(root, main)).isFile());
  });

  it('has maps that lead to sources: to those they bring along', () => {
    const scripts = files.filter((path) => path.endsWith('.js'));
    assert.notEqual(scripts.length, 0);
    for (const path of scripts) {
      const name = /\n\/\/# sourceMappingURL=(.*)\s*$/.exec(text(path))?.[1];
      assert.ok(name !== undefined, `${path} names its map`);
      const map = JSON.parse(text(join(dirname(path), name))) as {
        sources: string[];
        sourcesContent?: (string | null)[];
      };
      assert.equal(map.sourcesContent?.length, map.sources.length, path);
      const source = path.replace(/^dist\//, '').replace(/\.js$/, '.ts');
      assert.deepEqual(map.sourcesContent, [readFileSync(join(PROJECT, source), 'utf8')], path);
    }
  });

  it('is fine with publint', async () => {
    const { messages, pkg } = await publint({ pkgDir: root, pack: false, strict: true });
    assert.deepEqual(
      messages.map((message) => formatMessage(message, pkg, { color: false })),
      [],
    );
  });

  it('has types that say what is there, for whoever resolves modules as Node or a bundler does', async () => {
    const analysis = await checkPackage(createPackageFromTarballData(readFileSync(tarball())), {
      // Not for modules: it is reached by its path.
      excludeEntrypoints: ['./package.json'],
    });
    assert.ok(analysis.types !== false, 'there are types');
    const problems = analysis.problems.filter((problem) => {
      const { kind } = problem;
      // An ES module, on purpose; Node's require() takes it (see consumer.test.ts).
      if (kind === 'CJSResolvesToESM') return false;
      // Older than "exports", as are Node versions that this package does not run on.
      return !('resolutionKind' in problem) || problem.resolutionKind !== 'node10';
    });
    assert.deepEqual(problems, []);
  });
});
