import { setTimeout as sleep } from 'node:timers/promises';
import type { Snapshot } from '../../publish/snapshot.js';
import { parseArguments } from '../arguments.js';
import { CliError, EXIT } from '../cli-error.js';
import { paintFor } from '../terminal.js';
import { STATS_USAGE } from '../usage.js';
import { render } from './render.js';
import { targetOf } from './target.js';

/** Milliseconds between two looks. */
const EVERY = 1000;

/** To the upper left, and nothing below: without the flicker that clearing first would make. */
const HOME = '\x1b[H\x1b[J';

export async function stats(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArguments(
    args,
    { json: { type: 'boolean' }, once: { type: 'boolean' }, help: { type: 'boolean' } },
    STATS_USAGE,
    { allowPositionals: true },
  );
  if (values.help) {
    process.stdout.write(STATS_USAGE);
    return EXIT.OK;
  }
  const target = positionals.at(0);
  if (positionals.length > 1) throw new CliError(`one process at a time\n\n${STATS_USAGE}`, EXIT.USAGE);
  const ask = await targetOf(target);
  const home = process.stdout.isTTY && !values.once ? HOME : '';
  let before: Snapshot | undefined;
  let asked = performance.now();
  for (;;) {
    const last = asked;
    asked = performance.now();
    const now = await ask();
    if (now === undefined) {
      if (before !== undefined) return ended(before);
      throw new CliError(
        `${target ?? 'the process'} does not take part: is it there, with RDMA_REGCACHE_STATS=1?`,
      );
    }
    process.stdout.write(values.json ? lineOf(now) : home + textOf(now, before, (asked - last) / 1000));
    // Whoever read this has enough of it.
    if (values.once || process.stdout.destroyed) return EXIT.OK;
    before = now;
    await sleep(Math.max(0, asked + EVERY - performance.now()));
  }
}

const lineOf = (now: Snapshot): string => {
  const { schema, ...rest } = now;
  return `${JSON.stringify({ schema, time: new Date().toISOString(), ...rest })}\n`;
};

function textOf(now: Snapshot, before: Snapshot | undefined, seconds: number): string {
  const text = render(now, before, seconds, paintFor(process.stdout));
  return before === undefined || process.stdout.isTTY ? text : `\n${text}`;
}

function ended({ pid }: Snapshot): number {
  process.stderr.write(`process ${pid} has ended\n`);
  return EXIT.OK;
}
