/**
 * What do the driver's calls cost, by the number of ranges that a process watches? All numbers are measured in turn by
 * processes that are alive at the same time; each figure is the median of several batches.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { PROJECT } from '../native/vm/project.js';
import { CALLS, kernel } from './about/kernel.js';
import { here, measured, nameOfResult, save, table, type Result, type Row } from './result.js';

const NUMBERS = [1, 1_000, 100_000, 1_000_000];
const ROUNDS = 7;

type Sample = Record<'ranges' | (typeof CALLS)[number], number>;

const { values: options } = parseArgs({ options: kernel.options });

const folder = mkdtempSync(join(tmpdir(), 'regcache-bench-'));
try {
  const client = join(folder, 'client');
  execFileSync(
    process.env['CC'] ?? 'gcc-12',
    ['-O2', '-I', 'native/ummunotify/include/uapi', '-o', client, 'bench/kernel/client.c'],
    { cwd: PROJECT, stdio: ['ignore', 'inherit', 'inherit'] },
  );
  const samples = await measure(client);
  const result: Result = {
    ...here(),
    name: nameOfResult('kernel'),
    monitor: 'ummunotify',
    registrar: '-',
    unit: 'ns, median of several batches, each the median of 500 calls',
    rows: NUMBERS.map((ranges) => {
      const own = samples.filter((sample) => sample.ranges === ranges);
      const cells = CALLS.map((call) =>
        measured(
          call,
          own.map((sample) => sample[call]),
        ),
      );
      return Object.assign({ ranges }, ...cells) as Row;
    }),
  };
  const path = save(result, kernel.figures);
  console.log(options.json ? JSON.stringify(result) : render(result, path));
} finally {
  rmSync(folder, { recursive: true });
}

/** Run the client to its end. */
async function measure(client: string): Promise<Sample[]> {
  const child = spawn(client, [String(ROUNDS), ...NUMBERS.map(String)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const samples: Sample[] = [];
  process.stderr.write(`Watching up to ${NUMBERS.at(-1)!.toLocaleString('en-US')} ranges ...\n`);
  for await (const line of createInterface({ input: child.stdout })) {
    const sample = JSON.parse(line) as Sample | { done: true };
    if ('done' in sample) break;
    samples.push(sample);
    if (samples.length % NUMBERS.length === 0) {
      process.stderr.write(`round ${samples.length / NUMBERS.length} of ${ROUNDS}\n`);
    }
  }
  if (samples.length !== ROUNDS * NUMBERS.length) throw new Error('the measuring processes ended early');
  return samples;
}

/** Kernel memory of a range in bytes, with the slab's own rounding; root only. */
function bytesPerRange(): number | undefined {
  const read = (name: string): number =>
    Number(readFileSync(`/sys/kernel/slab/ummunotify_range/${name}`, 'latin1'));
  try {
    return (4096 * 2 ** read('order')) / read('objs_per_slab');
  } catch {
    return undefined;
  }
}

function render({ rows, where, kernel: release }: Result, path: string): string {
  const at = (ranges: number): Sample => rows.find((row) => row['ranges'] === ranges) as Row & Sample;
  const [one, thousand, million] = [at(1), at(1_000), at(1_000_000)];
  const ratio = (a: number, b: number): string => (a / b).toFixed(2);
  return [
    `the driver's calls by the number of ranges watched, ns (${where}, Linux ${release}; median of ${ROUNDS} batches)`,
    '',
    table(rows),
    '',
    `munmap of an unwatched page, 1,000,000 ranges to 1:   ${ratio(million.munmap, one.munmap)} (at most 1.5)`,
    `register, 1,000,000 ranges to 1,000:                  ${ratio(million.register, thousand.register)} (at most 3)`,
    `unregister, 1,000,000 ranges to 1,000:                ${ratio(million.unregister, thousand.unregister)} (at most 3)`,
    `kernel memory of a range:                             ${bytesPerRange()?.toFixed(1) ?? '(only root can tell)'} bytes (at most 128)`,
    '',
    `saved as ${path}`,
  ].join('\n');
}
