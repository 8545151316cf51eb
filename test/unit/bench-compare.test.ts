import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BENCHES } from '../../bench/benches.js';
import type { Column } from '../../bench/about/about.js';
import { parseCommandLine, UsageError } from '../../bench/command-line.js';
import { compare, type Comparison } from '../../bench/compare/compare.js';
import { regressions, renderComparison } from '../../bench/compare/render.js';
import { benchOf, type Result, type Row } from '../../bench/result.js';
import { loadResults, NoResultError } from '../../bench/saved.js';
import { resultOf } from './bench-fixture.js';

const COLUMNS: Record<string, Column> = {
  size: 'key',
  time: 'lower',
  rate: 'higher',
  other: 'reference',
  'time/other': { lower: ['time', 'other'] },
  target: 'information',
  got: { words: ['fresh', 'refused', 'stale'] },
};
const ROW: Row = { size: 4096, time: 100, 'time ±%': 10, other: 200, 'time/other': 0.5 };

function compared(before: readonly Row[], now: readonly Row[], more: Partial<Result> = {}): Comparison {
  return compare(resultOf(before), resultOf(now, more), COLUMNS, 5);
}

const verdicts = (before: Row, now: Row): Record<string, string> =>
  Object.fromEntries(
    compared([{ size: 1, ...before }], [{ size: 1, ...now }]).differences.map(({ column, verdict }) => [
      column,
      verdict,
    ]),
  );

describe('a comparison of results', () => {
  it('finds a regression beyond the spread, either one, and none within', () => {
    const time = (was: number, wasSpread: number, is: number, isSpread: number): string =>
      verdicts({ time: was, 'time ±%': wasSpread }, { time: is, 'time ±%': isSpread })['time'];
    assert.equal(time(100, 10, 111, 1), 'worse');
    assert.equal(time(100, 10, 109, 1), 'same');
    assert.equal(time(100, 1, 111, 11), 'same');
    assert.equal(time(100, 1, 111, 5), 'worse');
    assert.equal(time(100, 10, 89, 1), 'better');
  });

  it('takes no difference for a regression that is within the tolerance', () => {
    assert.equal(verdicts({ time: 100 }, { time: 105 })['time'], 'same');
    assert.equal(verdicts({ time: 100 }, { time: 106 })['time'], 'worse');
    assert.equal(verdicts({ time: 0 }, { time: 1 })['time'], 'worse');
  });

  it('knows what is better', () => {
    assert.deepEqual(verdicts({ rate: 100, other: 100 }, { rate: 80, other: 200 }), {
      rate: 'worse',
      other: 'reference',
    });
    assert.equal(verdicts({ rate: 100 }, { rate: 120 })['rate'], 'better');
  });

  it('gives a quotient the spreads of both of its parts', () => {
    const parts = { 'time ±%': 10, 'other ±%': 10 };
    assert.equal(verdicts({ 'time/other': 0.5, ...parts }, { 'time/other': 0.59 })['time/other'], 'same');
    assert.equal(verdicts({ 'time/other': 0.5, ...parts }, { 'time/other': 0.61 })['time/other'], 'worse');
  });

  it('compares words by their order, and only those that are in it', () => {
    assert.equal(verdicts({ got: 'fresh' }, { got: 'stale' })['got'], 'worse');
    assert.equal(verdicts({ got: 'stale' }, { got: 'refused' })['got'], 'better');
    assert.deepEqual(verdicts({ got: 'n/a' }, { got: 'stale' }), {});
  });

  it('tells rows apart by their keys, wherever they are, and says which are missing', () => {
    const rows = [1, 2, 3].map((size) => ({ size, time: 100 * size }));
    const { differences, left } = compared(rows, [{ size: 4, time: 1 }, rows[2], rows[1]]);
    assert.deepEqual(
      differences.map(({ row, verdict }) => [row, verdict]),
      [
        ['2', 'same'],
        ['3', 'same'],
      ],
    );
    assert.deepEqual(left, ['1: only before', '4: only now']);
  });

  it('says which columns cannot be compared', () => {
    const { left, differences } = compared(
      [{ size: 1, time: 1, strange: 1, target: 1 }],
      [{ size: 1, rate: 1, strange: 1 }],
    );
    assert.deepEqual(left, [
      'time: only before',
      'strange: nobody says whether more of it is better',
      'rate: only now',
    ]);
    assert.deepEqual(differences, []);
  });

  it('warns of another machine, kernel or stand-in', () => {
    assert.deepEqual(compared([ROW], [ROW]).warnings, []);
    const { warnings } = compared([ROW], [ROW], { kernel: '6.12.0', cpu: 'other', registrar: 'null' });
    assert.deepEqual(warnings, [
      'not the same kernel: 6.1.0 before, 6.12.0 now',
      'not the same cpu: 2 x Model before, other now',
      'not the same registrar: - before, null now',
    ]);
  });

  it('prints a table that marks regressions and states the rule', () => {
    const comparison = compared([ROW], [{ ...ROW, time: 150, 'time/other': 0.75 }], {
      where: 'virtual machine',
    });
    const text = renderComparison(comparison, 5);
    assert.equal(regressions([comparison]), 2);
    assert.match(text, /^ *4,096 +time +100 ±10% +150 ±10% +\+50\.0% +REGRESSION$/m);
    assert.match(text, /^warning: not the same where: host before, virtual machine now$/m);
    assert.match(text, /2 of 3 are a REGRESSION\n\(a regression is what is worse by more than the spread/);
  });
});

describe('a saved result', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'regcache-saved-'));
  });
  after(() => {
    rmSync(folder, { recursive: true });
  });
  const noSkip = (why: string): void => {
    assert.fail(why);
  };

  it('is read from a file or a folder, also one that says less', () => {
    const { schema, name, where, kernel, monitor, registrar, unit, rows } = resultOf([ROW]);
    const file = join(folder, 'sample.json');
    writeFileSync(file, JSON.stringify({ schema, name, where, kernel, monitor, registrar, unit, rows }));
    for (const path of [file, folder]) {
      const read = loadResults(path, noSkip).get('sample');
      assert.deepEqual([read?.rows, read?.cpu, read?.date], [[ROW], 'unknown', 'unknown']);
    }
  });

  it('is refused when it is none; in a folder it is left out', () => {
    const other = join(folder, 'other');
    mkdirSync(other);
    const wrong = {
      'text.json': 'text',
      'schema.json': JSON.stringify({ ...resultOf([]), schema: 2 }),
      'rows.json': JSON.stringify({ ...resultOf([]), rows: [{ time: null }] }),
    };
    for (const [name, content] of Object.entries(wrong)) {
      writeFileSync(join(other, name), content);
      assert.throws(() => loadResults(join(other, name), noSkip), NoResultError, name);
    }
    const skipped: string[] = [];
    assert.equal(loadResults(other, (why) => skipped.push(why)).size, 0);
    assert.equal(skipped.length, 3);
    assert.throws(() => loadResults(join(folder, 'nowhere'), noSkip), NoResultError);
  });
});

describe('the name of a result', () => {
  it('is that of its benchmark, the longest that fits, or has the part after it', () => {
    const known = ['hit', 'hit-proof', 'coverage', 'miss'];
    const of = (result: string): string | undefined => benchOf(result, known);
    assert.deepEqual(
      ['hit', 'hit-proof', 'hit-proof-vm', 'coverage-6.12', 'miss-vm', 'missing', 'other'].map(of),
      ['hit', 'hit-proof', 'hit-proof', 'coverage', 'miss', undefined, undefined],
    );
  });
});

describe('the command line of the benchmarks', () => {
  const refused = (line: string): string => {
    try {
      parseCommandLine(line.split(' '));
    } catch (error) {
      assert.ok(error instanceof UsageError, String(error));
      return error.message;
    }
    return assert.fail(`${line} was taken`);
  };

  it('passes on what the programs know', () => {
    const { action, names, args } = parseCommandLine([
      'coverage',
      '--by',
      'worker',
      '--by',
      'thread',
      '--json',
    ]);
    assert.deepEqual([action, names], ['run', ['coverage']]);
    assert.deepEqual(args.toSorted(), ['--by', '--by', '--json', 'thread', 'worker']);
    assert.deepEqual(parseCommandLine([]).args, []);
  });

  it('takes one file to compare with and run, or two', () => {
    const one = parseCommandLine(['hit', '--compare', 'a.json', '--tolerance', '10']);
    assert.deepEqual(
      [one.action, one.names, one.compare, one.run, one.tolerance],
      ['compare', ['hit'], ['a.json'], true, 10],
    );
    assert.equal(parseCommandLine(['--no-run', '--compare', 'a.json']).run, false);
    const two = parseCommandLine(['--compare', 'a', 'b', '--json']);
    assert.deepEqual([two.compare, two.run, two.json], [['a', 'b'], false, true]);
  });

  it('says what is wrong', () => {
    assert.match(refused('hits'), /there is no benchmark hits/);
    assert.match(refused('hit --by worker'), /--by/);
    assert.match(refused('coverage hit --by worker'), /--by/);
    assert.match(refused('--bogus'), /--bogus/);
    assert.match(refused('--json hit'), /names of benchmarks come first/);
    assert.match(refused('--no-run'), /--compare FILE/);
    assert.match(refused('--compare a b c'), /one or two/);
    assert.match(refused('--compare a --tolerance some'), /percent/);
    assert.match(refused('report hit'), /without the names/);
  });
});

describe('npm run bench -- --compare', function () {
  this.timeout(60_000);
  let folder: string;
  const program = fileURLToPath(new URL('../../bench/run.js', import.meta.url));
  const run = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(process.execPath, [program, ...args], {
      encoding: 'utf8',
      cwd: folder,
      env: { ...process.env, INIT_CWD: folder },
    });
  const write = (name: string, munmap: number): void => {
    const result = resultOf([{ ranges: 1, munmap, 'munmap ±%': 2 }], { name: 'kernel' });
    writeFileSync(join(folder, name), JSON.stringify(result));
  };

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'regcache-compare-'));
    write('before.json', 1000);
    write('same.json', 1010);
    write('worse.json', 2000);
  });
  after(() => {
    rmSync(folder, { recursive: true });
  });

  it('ends with 1 when something got worse, and with 0 when nothing did', () => {
    const same = run('--compare', 'before.json', 'same.json');
    assert.deepEqual([same.status, same.stderr], [0, '']);
    assert.match(same.stdout, /^kernel: no regression$/m);
    const worse = run('--compare', 'before.json', 'worse.json');
    assert.equal(worse.status, 1, worse.stderr);
    assert.match(worse.stdout, /\+100\.0% +REGRESSION/);
  });

  it('prints the same for programs', () => {
    const { stdout } = run('--compare', 'before.json', 'worse.json', '--json');
    const [{ name, differences }] = JSON.parse(stdout) as Comparison[];
    assert.deepEqual([name, differences[0].change, differences[0].verdict], ['kernel', 100, 'worse']);
  });

  it('compares the parts of a benchmark each with its own', () => {
    for (const [name, times] of [
      ['earlier', 1],
      ['later', 2],
    ] as const) {
      mkdirSync(join(folder, name));
      for (const part of ['kernel', 'kernel-6.12']) {
        const munmap = part === 'kernel' ? 1000 : 1000 * times;
        const result = resultOf([{ ranges: 1, munmap }], { name: part });
        writeFileSync(join(folder, name, `${part}.json`), JSON.stringify(result));
      }
    }
    for (const names of [[], ['kernel']]) {
      const { status, stdout, stderr } = run(...names, '--compare', 'earlier', 'later');
      assert.deepEqual([status, stderr], [1, '']);
      assert.match(stdout, /^kernel: no regression$/m);
      assert.match(stdout, /^kernel-6\.12: 1 of 1 are a REGRESSION$/m);
    }
  });

  it('ends with 2 when there is nothing to compare, or no such thing to do', () => {
    const other = run('hit', '--compare', 'before.json', 'same.json');
    assert.deepEqual([other.status, other.stderr], [2, 'hit: there is no earlier result\n']);
    const missing = run('--compare', 'nowhere.json', 'same.json');
    assert.equal(missing.status, 2);
    assert.match(missing.stderr, /^bench: there is no .*nowhere\.json\n$/);
    const unknown = run('hits');
    assert.equal(unknown.status, 2);
    assert.match(unknown.stderr, /^bench: there is no benchmark hits\n.*--help/);
  });

  it('is explained in --help, with all benchmarks', () => {
    const { status, stdout } = run('--help');
    assert.equal(status, 0);
    for (const word of ['--compare', '--no-run', 'report', ...BENCHES.keys()])
      assert.ok(stdout.includes(word), word);
    assert.ok(stdout.split('\n').every((line) => line.length <= 120));
  });
});
