import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { Registry } from 'prom-client';
import { PROJECT } from '../../native/vm/project.js';
import { RegistrationCache } from '../../src/cache/cache.js';
import { CHANNELS, type CacheEvents, type RetireReason } from '../../src/cache/events.js';
import { checkOptions } from '../../src/cache/options.js';
import { noStatistics } from '../../src/cache/statistics.js';
import { chooseMonitor } from '../../src/choose-monitor.js';
import { createCache } from '../../src/create-cache.js';
import { takeConnectOptions, takeListenOptions } from '../../src/endpoint/options.js';
import { VARIABLES } from '../../src/environment.js';
import { ERROR_CODES, type RegcacheError } from '../../src/errors.js';
import { register } from '../../src/metrics.js';
import { choiceOf } from '../../src/monitor/open.js';
import { publishStatistics } from '../../src/publish/publish.js';
import { ProtectionDomain } from '../../src/verbs/protection-domain.js';
import type { WarningCode } from '../../src/warning.js';
import { linksOf, proseOf } from '../markdown.js';
import { modelled } from './cache-fixture.js';

// Types leave nothing behind to list; the compiler sees to it that these are complete.
const EVENTS: Record<keyof CacheEvents, true> = { register: true, retire: true, evict: true, stale: true };
const REASONS: Record<RetireReason, true> = {
  ...{ stale: true, evicted: true, replaced: true, flushed: true, invalidated: true, released: true },
};
const WARNINGS: Record<WarningCode, true> = {
  RDMA_REGCACHE_NO_MONITOR: true,
  RDMA_REGCACHE_NO_STATISTICS: true,
  RDMA_REGCACHE_UNKNOWN_VARIABLE: true,
};

const proseIn = (path: string): string => proseOf(join(PROJECT, path));

/** Cells of the rows of the table below a heading, without code marks and link targets. */
function tableBelow(path: string, heading: string): string[][] {
  const sections = proseIn(path).split(`\n## ${heading}\n`);
  assert.equal(sections.length, 2, `${path} has one section ${heading}`);
  const section = sections[1];
  const rows = section
    .split('\n## ')[0]
    .split('\n')
    .filter((line) => line.startsWith('|'));
  return rows.slice(2).map((row) =>
    row
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) =>
        cell
          .trim()
          .replace(/^\[(.*)\]\(.*\)$/, '$1')
          .replace(/^`(.*)`$/, '$1')
          .replaceAll('\\|', '|'),
      ),
  );
}

const REFERENCE = 'docs/reference.md';
const TROUBLE = 'docs/troubleshooting.md';

describe('docs/reference.md', () => {
  const NAMES = {
    'Error codes': Object.keys(ERROR_CODES),
    'Process warnings': Object.keys(WARNINGS),
    Statistics: Object.keys(noStatistics()),
    Events: Object.keys(EVENTS),
    'Reasons to retire': Object.keys(REASONS),
    'Diagnostics channels': Object.values(CHANNELS).map(({ name }) => String(name)),
    'Environment variables': Object.values(VARIABLES).map(({ name }) => name),
  };
  for (const [heading, names] of Object.entries(NAMES)) {
    it(`lists what there is, once, and nothing else: ${heading}`, () => {
      assert.deepEqual(
        tableBelow(REFERENCE, heading).map(([name]) => name),
        names,
      );
    });
  }

  it('lists the metrics there are, and of what kind', async () => {
    const registry = new Registry();
    const { cache } = modelled();
    register(cache, { register: registry });
    const metrics = await registry.getMetricsAsJSON();
    assert.deepEqual(
      tableBelow(REFERENCE, 'Metrics').map(([name, kind]) => [name, kind]),
      metrics.map(({ name, type }) => [name, String(type)]),
    );
  });

  it('gives the error codes the meaning that ERROR_CODES gives them', () => {
    assert.deepEqual(Object.fromEntries(tableBelow(REFERENCE, 'Error codes')), ERROR_CODES);
  });

  describe('lists the options that there are, and no other', () => {
    const { monitor, registrar } = modelled();
    // Of no device: options are looked at before that.
    const protectionDomain = Object.create(ProtectionDomain.prototype, {
      closed: { value: false },
    }) as ProtectionDomain;
    type Taker = (options: never) => unknown;
    const caches = { ...checkOptions({ monitor, registrar }), monitor: undefined, registrar: undefined };
    // Without a device the value of `checking` is not to be seen.
    const created = {
      ...caches,
      monitor: choiceOf(chooseMonitor(undefined, { forkStatus: 'unneeded' }, { device: '/dev/none' })).wanted,
      checking: false,
    };
    const TAKERS: Record<string, Record<string, [take: Taker, defaults: Record<string, unknown>]>> = {
      'Options of caches': {
        createCache: [(options) => createCache(protectionDomain, options), created],
        'new RegistrationCache': [
          (options: object) => new RegistrationCache({ monitor, registrar, ...options }),
          caches,
        ],
      },
      'Options of connections': {
        connect: [takeConnectOptions, takeConnectOptions({ host: 'a', port: 1 }).endpoint],
        listen: [takeListenOptions, { ...takeListenOptions({}), ...takeListenOptions({}).endpoint }],
      },
      'Options of what shows statistics': {
        publishStatistics: [(options) => publishStatistics(modelled().cache, options), {}],
        register: [(options) => register(modelled().cache, options), {}],
      },
    };
    /** As the refusal of another one names them. */
    const namesTakenBy = (take: Taker): string[] => {
      try {
        take({ noSuchOption: true } as never);
      } catch (error) {
        const [, names] = /^option noSuchOption is unknown; there (?:is|are) (.*)$/.exec(
          (error as RegcacheError).reason,
        )!;
        return names.split(', ');
      }
      return assert.fail('it takes any name');
    };
    /** Of a default that there is none, or none that is a value. */
    const WORDS = ['required', '-', "prom-client's", 'none', 'cache N'];

    for (const [heading, takers] of Object.entries(TAKERS)) {
      it(`${heading}: of these calls`, () => {
        const calls = new Set(tableBelow(REFERENCE, heading).map(([, of]) => of));
        assert.deepEqual([...calls].filter((of) => of !== 'both').sort(), Object.keys(takers).sort());
      });
      for (const [call, [take, defaults]] of Object.entries(takers)) {
        const rows = tableBelow(REFERENCE, heading).filter(([, of]) => of === call || of === 'both');
        it(`${heading}: ${call}, names`, () => {
          assert.deepEqual(rows.map(([name]) => name).sort(), namesTakenBy(take).sort());
        });
        it(`${heading}: ${call}, defaults`, () => {
          for (const [name, , , said] of rows) {
            assert.equal(
              said,
              WORDS.includes(said) && defaults[name] === undefined ? said : String(defaults[name]),
              name,
            );
          }
        });
      }
    }
  });

  it('gives the variables the values and meaning that --help gives them', () => {
    assert.deepEqual(
      tableBelow(REFERENCE, 'Environment variables'),
      Object.values(VARIABLES).map(({ name, values, meaning }) => [name, values, meaning]),
    );
  });
});

describe('docs/troubleshooting.md', () => {
  it('says what to do about each error code and warning, and about no other', () => {
    const sections = [...proseIn(TROUBLE).matchAll(/^### (\S+)\n\n(?!#)(.)/gm)].map(([, name]) => name);
    assert.deepEqual(sections.sort(), [...Object.keys(ERROR_CODES), ...Object.keys(WARNINGS)].sort());
  });
});

describe('the Markdown files', () => {
  const NOT_OURS = new Set(['node_modules', 'dist', 'results', '.git']);
  const markdownBelow = (folder: string): string[] =>
    readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return NOT_OURS.has(entry.name) ? [] : markdownBelow(path);
      return entry.name.endsWith('.md') ? [relative(PROJECT, path)] : [];
    });
  const files = markdownBelow(PROJECT);

  const linksIn = (path: string): { target: string; anchor: string | undefined }[] =>
    linksOf(join(PROJECT, path)).map(({ target, anchor }) => ({ target: relative(PROJECT, target), anchor }));

  /** What a heading is called in a link (as on GitHub). */
  const anchorsOf = (path: string): string[] =>
    [...proseIn(path).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    );

  for (const path of files) {
    it(`${path} has no link that leads nowhere`, () => {
      for (const { target, anchor } of linksIn(path)) {
        assert.ok(existsSync(join(PROJECT, target)), `${path} links to ${target}`);
        if (anchor === undefined) continue;
        assert.ok(statSync(join(PROJECT, target)).isFile(), target);
        assert.ok(anchorsOf(target).includes(anchor), `${path} links to ${target}#${anchor}`);
      }
    });
  }

  it('can all be reached from README.md', () => {
    const reached = new Set(['README.md']);
    for (const path of reached) {
      for (const { target } of linksIn(path)) {
        const file = files.find((each) => each === target || each === join(target, 'README.md'));
        if (file !== undefined) reached.add(file);
      }
    }
    assert.deepEqual(
      files.filter((path) => !reached.has(path)),
      [],
    );
  });
});
