import { foldersOf, ownerOf, socketsOf } from '../../publish/folder.js';
import { CliError, EXIT } from '../cli-error.js';
import { STATS_USAGE } from '../usage.js';
import { ask } from './ask.js';
import type { Snapshot } from '../../publish/snapshot.js';

/** What all threads of a process say. */
export type Ask = () => Promise<Snapshot | undefined>;

/**
 * How to ask the process that is meant: by its number, by a socket, or, with neither, the only one there is.
 * @throws CliError when there is none, or more than one
 */
export async function targetOf(argument: string | undefined): Promise<Ask> {
  if (argument === undefined) return ofPid(await onlyOne());
  if (/^\d+$/.test(argument)) return ofPid(Number(argument));
  if (argument.includes('/')) return () => ask(argument);
  throw new CliError(
    `'${argument}' is neither the number of a process nor the path of a socket\n\n${STATS_USAGE}`,
    EXIT.USAGE,
  );
}

/** Threads come and go: looked for each time. */
function ofPid(pid: number): Ask {
  return async () => {
    const uid = ownerOf(pid);
    if (uid === undefined) return undefined;
    const sockets = socketsOf(uid).filter((socket) => socket.pid === pid);
    return merged(await Promise.all(sockets.map(({ path }) => ask(path))));
  };
}

function merged(answers: readonly (Snapshot | undefined)[]): Snapshot | undefined {
  const there = answers.filter((answer) => answer !== undefined);
  return there.at(0) && { ...there[0], caches: there.flatMap(({ caches }) => caches) };
}

async function onlyOne(): Promise<number> {
  const uid = process.getuid!();
  const sockets = socketsOf(uid);
  const answers = await Promise.all(sockets.map(({ path }) => ask(path).catch(() => undefined)));
  const titles = new Map(answers.flatMap((answer) => (answer ? [[answer.pid, answer.title] as const] : [])));
  const [first] = titles.keys();
  if (titles.size === 0) {
    throw new CliError(
      `no process of this user takes part: start one with RDMA_REGCACHE_STATS=1 (looked in ${foldersOf(uid).join(' and ')})`,
    );
  }
  if (titles.size === 1) return first;
  const list = [...titles].map(([pid, title]) => `  ${pid}  ${printable(title)}`).join('\n');
  throw new CliError(`several processes take part, choose one:\n${list}`);
}

/** Without what a terminal would act on. */
export const printable = (text: string): string => text.replaceAll(/\p{Cc}/gu, '?');
