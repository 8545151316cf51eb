import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PROJECT } from '../../native/vm/project.js';

const run = promisify(execFile);
const NO_COMPILER = '/nonexistent/cc';

const SCRIPT = `
import { UserfaultfdMonitor } from './dist/src/monitor/userfaultfd.js';
import './dist/src/index.js';
try {
  new UserfaultfdMonitor().close();
  console.log('{}');
} catch ({ code, message }) {
  console.log(JSON.stringify({ code, message }));
}
`;

describe('the C helper of the monitors', () => {
  let folder: string;
  let cache: string;
  const inPackage = (...path: string[]): string => join(folder, 'native', 'monitor', ...path);

  /** A package as it is installed, without a helper. */
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'regcache-helper-'));
    cache = join(folder, 'cache');
    cpSync(join(PROJECT, 'dist', 'src'), join(folder, 'dist', 'src'), { recursive: true });
    cpSync(join(PROJECT, 'package.json'), join(folder, 'package.json'));
    mkdirSync(inPackage(), { recursive: true });
    for (const name of readdirSync(join(PROJECT, 'native', 'monitor'))) {
      if (/\.[ch]$/.test(name)) cpSync(join(PROJECT, 'native', 'monitor', name), inPackage(name));
    }
    symlinkSync(join(PROJECT, 'node_modules'), join(folder, 'node_modules'));
    writeFileSync(join(folder, 'open.mjs'), SCRIPT);
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  /** Open a monitor in a process of its own; the error, if it throws one. */
  async function open(
    compiler = 'cc',
    more: NodeJS.ProcessEnv = {},
  ): Promise<{ code?: string; message?: string }> {
    const env = { ...process.env, CC: compiler, XDG_CACHE_HOME: cache, ...more };
    const { stdout } = await run(process.execPath, ['open.mjs'], { cwd: folder, env });
    return JSON.parse(stdout) as { code?: string; message?: string };
  }
  const built = (): string[] => readdirSync(inPackage('build'));

  it('compiles without a warning, once for all that start at the same time, and is kept', async () => {
    const all = await Promise.all(Array.from({ length: 4 }, () => open('cc -Werror')));
    assert.deepEqual(all, [{}, {}, {}, {}]);
    assert.match(built().join(), /^monitor-[0-9a-f]{16}\.so$/);
    assert.deepEqual(await open(NO_COMPILER), {});
  });

  it('is compiled anew when its source has changed, or when what is there cannot be loaded', async () => {
    await open();
    const [first] = built();
    writeFileSync(inPackage('build', first), 'of another architecture, say');
    assert.equal((await open(NO_COMPILER)).code, 'ERR_NO_HELPER');
    assert.deepEqual(await open(), {});
    assert.deepEqual(built(), [first]);
    writeFileSync(inPackage('more.h'), '/* more */');
    assert.equal((await open(NO_COMPILER)).code, 'ERR_NO_HELPER');
    assert.deepEqual(await open(), {});
    assert.equal(built().length, 2);
  });

  it('is the one that came with the package, if there is one', async () => {
    await open();
    mkdirSync(inPackage('prebuilt'));
    renameSync(inPackage('build', built()[0]), inPackage('prebuilt', `linux-${process.arch}.so`));
    assert.deepEqual(await open(NO_COMPILER), {});
  });

  it("is kept in the user's cache folder where the package's cannot be written to", async () => {
    writeFileSync(inPackage('build'), 'in the way');
    assert.deepEqual(await open(), {});
    assert.equal(readdirSync(join(cache, 'rdma-regcache')).length, 1);
    assert.deepEqual(await open(NO_COMPILER), {});
  });

  it('is loaded from no folder below the one that the program happens to run in', async () => {
    writeFileSync(inPackage('build'), 'in the way');
    assert.deepEqual(await open('cc', { XDG_CACHE_HOME: 'relative', HOME: cache }), {});
    assert.equal(existsSync(join(folder, 'relative')), false);
    assert.equal(readdirSync(join(cache, '.cache', 'rdma-regcache')).length, 1);
  });

  for (const [what, compiler, message] of [
    ['there is no compiler', NO_COMPILER, /no compiler '\/nonexistent\/cc'.*apt-get install gcc/s],
    ['it cannot be compiled', 'cc -include /nonexistent.h', /could not compile.*nonexistent\.h/s],
  ] as const) {
    it(`says what to do when ${what}, and leaves nothing half done`, async () => {
      const error = await open(compiler);
      assert.equal(error.code, 'ERR_NO_HELPER');
      assert.match(error.message!, message);
      assert.deepEqual(built(), []);
    });
  }

  it('says what to do when there is no folder for it', async () => {
    writeFileSync(inPackage('build'), 'in the way');
    writeFileSync(cache, 'in the way');
    const error = await open();
    assert.equal(error.code, 'ERR_NO_HELPER');
    assert.match(error.message!, /writable.*XDG_CACHE_HOME/);
  });
});
