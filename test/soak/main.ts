// The soak itself, where the device is; npm run soak brings it there. Takes its options.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { failed, type Outcome, passed, skipped, summary } from '../runner/outcome.js';
import { agrees, balanced, type Check, checkRound, heldAgain, heldSteadily } from './checks.js';
import { KEPT_HUGE_PAGES } from './ends.js';
import { giveBack, provideHugePages } from './held.js';
import { CHANGES, STALE, TRANSFERS } from './messages.js';
import { parseOptions } from './options.js';
import { HUGE_PAGES } from './places.js';
import { render, reportOf } from './report.js';
import { runRound } from './round.js';

/** What stays for good once it has been used, such as heaps, comes into being before anything is counted. */
const WARM_UP = 5;

const { seconds, seed, kept, json } = parseOptions(process.argv.slice(2));
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

function outcomeOf({ name, ok, needs }: Check): Outcome {
  if (!ok) return failed(`soak: ${name}`);
  return needs === undefined ? passed(`soak: ${name}`) : skipped(`soak: ${name}`, needs);
}

// Known also when the rest fails: what a cache leaks keeps its protection domain from closing.
const checks: Check[] = [];
say(`soak: ${seconds} s, seed ${seed}`);
let giveBackHugePages = (): void => undefined;
try {
  giveBackHugePages = provideHugePages(HUGE_PAGES + (kept ? KEPT_HUGE_PAGES : 0));
  await runRound(
    WARM_UP,
    seed,
    kept,
    () => undefined,
    () => Promise.resolve(),
  );
  const before = await heldSteadily(() => {
    giveBack(collect);
  });
  const round = await runRound(
    seconds,
    seed,
    kept,
    (passed, words) => {
      say(
        `${passed.toFixed(0)} s: ${words[TRANSFERS]} transfers, ${words[CHANGES]} changes, ${words[STALE]} stale`,
      );
    },
    async (ask) => {
      checks.push(...(await agrees(before, ask)));
    },
  );
  const balance = await heldAgain(before, () => {
    giveBack(collect);
  });
  const all = [...checkRound(round, seconds), ...checks, ...balanced(balance)];
  const report = reportOf(round, all, { seed, seconds, kept });
  process.stdout.write(
    json ? `${JSON.stringify(report)}\n` : render(report) + summary(report.checks.map(outcomeOf)),
  );
  giveBackHugePages();
  process.exitCode = report.ok ? 0 : 1;
} catch (error) {
  say(`soak, seed ${seed}: ${error instanceof Error ? error.stack : String(error)}`);
  for (const { name, ok, seen } of checks) if (!ok) say(`FAILED  ${name}: ${seen}`);
  if (!json) process.stdout.write(summary([...checks.map(outcomeOf), failed('soak: the run itself')]));
  giveBackHugePages();
  // Threads may still be at work.
  process.exit(1);
}
