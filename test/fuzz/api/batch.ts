import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Setting } from './world.js';

const CHILD = fileURLToPath(new URL('./child.js', import.meta.url));

export interface Batch {
  readonly setting: Setting;
  readonly seed: number;
  /** Sequences of calls. */
  readonly runs: number;
  /** Ends it, if that is earlier. */
  readonly seconds: number;
}

export interface BatchResult {
  readonly calls: number;
  /** Calls that were refused with an error. */
  readonly refused: number;
  /** Names of everything that was called. */
  readonly called: readonly string[];
}

/**
 * Make calls in a process of their own.
 * @throws when it dies, hangs, or a call fails otherwise than promised; names the seed and the call
 */
export function runBatch({ setting, seed, runs, seconds }: Batch): BatchResult {
  const folder = mkdtempSync(join(tmpdir(), 'regcache-fuzz-'));
  const log = join(folder, 'calls');
  try {
    const args = [setting, seed, runs, seconds, log].map(String);
    const { status, signal, stdout, stderr } = spawnSync(
      process.execPath,
      ['--no-warnings', CHILD, ...args],
      {
        encoding: 'utf8',
        timeout: (seconds + 120) * 1000,
        maxBuffer: 1 << 26,
      },
    );
    if (signal === null && status === 0) return JSON.parse(stdout) as BatchResult;
    const last = readFileSync(log, 'utf8').trimEnd().split('\n').slice(-3).join('\n');
    const how = signal === null ? `ended with status ${String(status)}` : `was killed by ${signal}`;
    throw new Error(
      `the process ${how}; npm run fuzz -- api --seed ${seed} repeats it (${setting}). The last calls:\n${last}\n` +
        `${stdout.slice(0, 8000)}\n${stderr.slice(-4000)}`,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}
