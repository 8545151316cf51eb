import { setTimeout as sleep } from 'node:timers/promises';
import { type Held, held, MARGINS } from './held.js';
import type { Transferred } from './messages.js';
import type { Ask, Round } from './round.js';
import { ALL_CHANGES } from './changing.js';

/** Something that must hold, and what was seen. */
export interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** What was seen. */
  readonly seen: string;
  /** What the machine does not tell. */
  readonly needs?: string;
}

/** The kernel and the device let go of some things a little later; seconds. */
const PATIENCE = 30;

const SECONDS_FOR_ALL_CHANGES = 30;

type Figure = keyof Held;

/** What is held before and after. */
export interface Balance {
  readonly before: Held;
  readonly after: Held;
}

/** What is held once it has been the same for a second, or after a while. */
export async function heldSteadily(giveBack: () => void): Promise<Held> {
  giveBack();
  let before = held();
  for (let waited = 0; waited < PATIENCE; waited++) {
    await sleep(1000);
    giveBack();
    const after = held();
    const steady = figures(before).every((name) => isBack(name, { before, after }));
    before = after;
    if (steady) break;
  }
  return before;
}

/** Wait until what is held is as it was, but not for ever. */
export async function heldAgain(before: Held, giveBack: () => void): Promise<Balance> {
  for (let waited = 0; ; waited++) {
    giveBack();
    const after = held();
    if (waited === PATIENCE || figures(before).every((name) => isBack(name, { before, after })))
      return { before, after };
    await sleep(1000);
  }
}

const figures = (of: Held): Figure[] => Object.keys(of) as Figure[];

/** Less than at the start is as wrong as more: something was let go of that others hold. But heaps may shrink. */
function isBack(name: Figure, { before, after }: Balance): boolean {
  const [was, is, margin] = [before[name], after[name], MARGINS[name]];
  return was === undefined || is === undefined || margin === undefined ? was === is : is <= was + margin;
}

export function balanced(balance: Balance): Check[] {
  return figures(balance.before).map((name) => {
    const [was, is] = [balance.before[name], balance.after[name]];
    const margin = MARGINS[name];
    const within = margin === undefined ? '' : ` (may be ${margin} more)`;
    return {
      name: `back at the start: ${name}`,
      ok: isBack(name, balance),
      seen: `${was ?? '?'} before, ${is ?? '?'} after${within}`,
      ...(was === undefined ? { needs: `${name}, which this kernel does not tell` } : {}),
    };
  });
}

/**
 * Whether the device, the driver and the kernel hold what the caches say that they hold, while they are idle.
 * @param before what was held before there were any
 */
export async function agrees(before: Held, ask: Ask): Promise<Check[]> {
  for (let waited = 0; ; waited++) {
    const told = await ask();
    const now = held();
    const checks = compare(before, now, told);
    // A change made by the collector meanwhile is no contradiction, nor is one by the kernel.
    if (waited === PATIENCE || checks.every(({ ok }) => ok)) return checks;
    await sleep(1000);
  }
}

function compare(before: Held, now: Held, told: readonly Transferred[]): Check[] {
  const more = (name: Figure): number | undefined => {
    const [was, is] = [before[name], now[name]];
    return was === undefined || is === undefined ? undefined : is - was;
  };
  const sum = (of: (one: Transferred) => number): number => told.reduce((all, one) => all + of(one), 0);
  const pinned = sum(({ pinnedBytes }) => pinnedBytes);
  const pairs: [Figure, number][] = [
    ['memory regions', sum(({ registered }) => registered)],
    ['watches', sum(({ watched }) => watched)],
    ['pinned, KiB', pinned / 1024],
  ];
  return pairs.map(([name, expected]) => {
    const seen = more(name);
    return {
      name: `idle caches agree with the kernel: ${name}`,
      ok: seen === undefined || seen === expected,
      seen: `${seen ?? '?'} there, ${expected} by the caches' statistics`,
      ...(seen === undefined ? { needs: `${name}, which this kernel does not tell` } : {}),
    };
  });
}

/** What the threads have seen. */
export function checkRound({ transferred, changed }: Round, seconds: number): Check[] {
  const sum = (of: (one: Transferred) => number): number =>
    transferred.reduce((all, one) => all + of(one), 0);
  const stale = { sender: sum((one) => one.stale.sender), receiver: sum((one) => one.stale.receiver) };
  const contradictions = transferred.flatMap((one) => one.contradictions);
  const transfers = sum((one) => one.transfers);
  const idle = transferred.filter(
    (one) => one.transfers === 0 || one.statistics.some((of) => of.hits === 0 || of.invalidations === 0),
  );
  const missing = ALL_CHANGES.filter((name) => !(name in changed));
  return [
    ...(['sender', 'receiver'] as const).map((end) => ({
      name: `no stale bytes at the ${end}`,
      ok: stale[end] === 0,
      seen: `${stale[end]} of ${transfers} transfers`,
    })),
    {
      name: 'statistics agree with each other, and with what was done and told',
      ok: contradictions.length === 0,
      seen: contradictions[0] ?? `${sum(({ checks }) => checks)} times`,
    },
    {
      name: 'each thread transferred, and each cache had hits and invalidations',
      ok: idle.length === 0,
      seen: `${transferred.length - idle.length} of ${transferred.length} threads`,
    },
    ...(seconds < SECONDS_FOR_ALL_CHANGES
      ? []
      : [
          {
            name: 'every kind of change was made',
            ok: missing.length === 0,
            seen: missing.length === 0 ? `${ALL_CHANGES.length} kinds` : `not: ${missing.join(', ')}`,
          },
        ]),
  ];
}
