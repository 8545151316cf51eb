import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { PROJECT } from '../../native/vm/project.js';
import { needs } from '../needs.js';
import { provideNode } from './node-version.js';
import { npm, tarball } from './packed.js';

const run = promisify(execFile);

/** Acquires from a cache whose registrar has no device, and tells of it. */
const USE = `
function use({ RegistrationCache, NoMonitor, RegcacheError, ERROR_CODES, addressOf }) {
  const registrar = { kind: 'none', register: (start) => start, deregister() {}, lkey: () => 7, rkey: () => 8 };
  const cache = new RegistrationCache({ monitor: new NoMonitor(), registrar });
  const memory = Buffer.alloc(100);
  const registration = cache.acquire(memory);
  const { lkey } = registration;
  registration.release();
  const { acquires, registered } = cache.statistics();
  cache.close();
  let code;
  try {
    cache.acquire(memory);
  } catch (error) {
    code = error instanceof RegcacheError && error.code in ERROR_CODES ? error.code : error;
  }
  const major = Number.parseInt(process.versions.node);
  console.log(JSON.stringify({ major, address: addressOf(memory) > 0, lkey, acquires, registered, code }));
}
`;

/** Asks for metrics, without the package that they are made with. */
const METRICS = `
import { NoMonitor, RegistrationCache } from 'rdma-regcache';
import { register } from 'rdma-regcache/metrics';
const registrar = { kind: 'none', register: (start) => start, deregister() {}, lkey: () => 7, rkey: () => 8 };
try {
  register(new RegistrationCache({ monitor: new NoMonitor(), registrar }));
} catch ({ code, advice, cause }) {
  console.log(JSON.stringify({ code, advice, cause: cause.code }));
}
`;
const used = (major: number): unknown => ({
  ...{ major, address: true, lkey: 7, acquires: 1, registered: 0, code: 'ERR_CLOSED' },
});

const STRICT = {
  module: 'nodenext',
  target: 'es2022',
  lib: ['es2022', 'esnext.disposable'],
  types: ['node'],
  strict: true,
  exactOptionalPropertyTypes: true,
  noEmit: true,
  // The package's own declarations are looked at, too.
  skipLibCheck: false,
};

const REQUIRED = `
import regcache = require('rdma-regcache');
export const close = (cache: regcache.RegistrationCache): void => cache.close();
// @ts-expect-error there is no such export
export const none = regcache.nothing;
`;

/** npm's names of a network, or a registry, that is not there. */
const UNREACHABLE = /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|ETIMEDOUT|ENOTCACHED)\b/;

describe('a project that has installed the package', function () {
  this.timeout(300_000);

  let folder: string;
  const write = (name: string, text: string): void => {
    writeFileSync(join(folder, name), text);
  };

  before('install the tarball, and run no scripts', async function () {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'regcache-consumer-')));
    write('package.json', JSON.stringify({ name: 'consumer', private: true, type: 'module' }));
    const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];
    try {
      await run(...npm('install', ...options, tarball()), { cwd: folder });
    } catch (error) {
      needs(this, 'npm-registry', !UNREACHABLE.test((error as { stderr: string }).stderr));
      throw error;
    }
    write('import.js', `import * as regcache from 'rdma-regcache';\n${USE}use(regcache);\n`);
    write('require.cjs', `const regcache = require('rdma-regcache');\n${USE}use(regcache);\n`);
    write('metrics.js', METRICS);
    write(
      'same.mjs',
      `import { createRequire } from 'node:module';
      import * as imported from 'rdma-regcache';
      console.log(createRequire(import.meta.url)('rdma-regcache') === imported);`,
    );
  });
  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  for (const major of [20, 22, 24]) {
    describe(`on Node ${major}`, () => {
      let node: string;
      before('provide Node', async function () {
        try {
          node = await provideNode(major);
        } catch (error) {
          needs(this, `node-${major}`, !UNREACHABLE.test((error as { stderr?: string }).stderr ?? ''));
          throw error;
        }
      });
      const outputOf = async (...args: string[]): Promise<string> =>
        (await run(node, args, { cwd: folder })).stdout;

      it('imports it and uses a cache', async () => {
        assert.deepEqual(JSON.parse(await outputOf('import.js')), used(major));
      });

      it('requires it and uses a cache', async function () {
        const version = (await outputOf('--version')).trim();
        // The first that take an ES module without a flag.
        const [, minor = 0] = version.slice(1).split('.').map(Number);
        const least = { 20: 19, 22: 12, 24: 0 }[major]!;
        needs(this, `node ${major}.${least}, for require() of ES modules`, minor >= least);
        assert.deepEqual(JSON.parse(await outputOf('require.cjs')), used(major));
        assert.equal(await outputOf('same.mjs'), 'true\n', 'both are the same module');
      });

      it('says how to get what the metrics need, when they are made', async () => {
        assert.deepEqual(JSON.parse(await outputOf('metrics.js')), {
          code: 'ERR_NO_PROM_CLIENT',
          advice: 'npm install prom-client',
          cause: 'MODULE_NOT_FOUND',
        });
      });

      it('runs the program by its name', async () => {
        const PATH = [dirname(node), process.env['PATH']].join(delimiter);
        const program = join(folder, 'node_modules', '.bin', 'rdma-regcache');
        const { stdout } = await run(program, ['--help'], { env: { ...process.env, PATH } });
        assert.match(stdout, /^Usage: rdma-regcache COMMAND/);
      });
    });
  }

  describe('in TypeScript', () => {
    /** What the compiler says, line by line. */
    let complaints: readonly string[];
    const types = (): string => join(folder, 'node_modules', '@types', 'node');
    before('compile', async () => {
      mkdirSync(dirname(types()), { recursive: true });
      cpSync(join(PROJECT, 'test', 'package', 'consumer'), folder, { recursive: true });
      write('required.cts', REQUIRED);
      write('tsconfig.json', JSON.stringify({ compilerOptions: STRICT }));
      complaints = await compileWith('@types/node');
    });

    /** @param typesOfNode the package with the types of Node */
    async function compileWith(typesOfNode: string): Promise<readonly string[]> {
      symlinkSync(join(PROJECT, 'node_modules', typesOfNode), types());
      const compiler = join(PROJECT, 'node_modules', 'typescript', 'bin', 'tsc');
      try {
        await run(process.execPath, [compiler, '-p', '.', '--pretty', 'false'], { cwd: folder });
        return [];
      } catch (error) {
        return (error as { stdout: string }).stdout.trim().split('\n');
      } finally {
        rmSync(types());
      }
    }

    const ABOUT = {
      'right-uses.ts': 'compiles what is right',
      'wrong-uses.ts': 'does not compile what is wrong',
      'required.cts': 'compiles a CommonJS module that requires it',
    };
    for (const [file, title] of Object.entries(ABOUT)) {
      it(title, () => {
        assert.deepEqual(
          complaints.filter((line) => line.startsWith(file)),
          [],
        );
      });
    }

    it('compiles with the newest types of Node, too', async () => {
      const complaints = await compileWith('types-node-newest');
      // What is wrong need not be the same with all.
      assert.deepEqual(
        complaints.filter((line) => !line.startsWith('wrong-uses.ts')),
        [],
      );
    });

    it("compiles the package's own declarations", () => {
      assert.deepEqual(
        complaints.filter((line) => !Object.keys(ABOUT).some((file) => line.startsWith(file))),
        [],
      );
    });
  });
});
