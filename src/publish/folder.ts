import { chmodSync, lstatSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { regcacheError } from '../errors.js';

/** Most bytes of a socket's path: `sun_path` of unix(7), less the NUL. */
const LONGEST = 107;

/** Folders that sockets of a user may lie in, best first. */
export function foldersOf(uid: number, env: NodeJS.ProcessEnv = process.env): string[] {
  const own = uid === process.getuid!() ? env['XDG_RUNTIME_DIR'] : undefined;
  // A relative path is invalid (XDG Base Directory Specification).
  const runtime = own?.startsWith('/') ? own : `/run/user/${uid}`;
  return [join(runtime, 'rdma-regcache'), join(tmpdir(), `rdma-regcache-${uid}`)];
}

/**
 * A folder for sockets that only this user can enter, made if need be.
 * @param longest bytes of the longest name that is to lie in it
 * @throws ERR_INVALID_OPTION where none can be had, or somebody else has made it
 */
export function privateFolder(longest: number, env?: NodeJS.ProcessEnv): string {
  const uid = process.getuid!();
  const reasons: string[] = [];
  for (const folder of foldersOf(uid, env)) {
    if (Buffer.byteLength(folder) + 1 + longest > LONGEST) {
      reasons.push(`${folder} is too long for a socket's path`);
      continue;
    }
    try {
      mkdirSync(folder, { mode: 0o700 });
      chmodSync(folder, 0o700);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EEXIST') {
        reasons.push(`${folder} cannot be made (${code})`);
        continue;
      }
    }
    if (isPrivate(folder, uid)) return folder;
    reasons.push(`${folder} is not this user's alone`);
  }
  throw regcacheError('ERR_INVALID_OPTION', `no folder for the statistics' socket: ${reasons.join('; ')}`);
}

/** Not a link, and not open to others: a socket in it is nobody else's. */
function isPrivate(folder: string, uid: number): boolean {
  const stats = lstatSync(folder);
  return stats.isDirectory() && stats.uid === uid && (stats.mode & 0o077) === 0;
}

/** The name of a thread's socket. */
export const socketName = (pid: number, thread: number): string => `${pid}-${thread}.socket`;

export interface FoundSocket {
  readonly pid: number;
  readonly path: string;
}

/** Sockets of a user, also such as processes that were killed have left behind. */
export function socketsOf(uid: number, env?: NodeJS.ProcessEnv): FoundSocket[] {
  return foldersOf(uid, env).flatMap((folder) =>
    namesIn(folder, uid).flatMap((name) => {
      const pid = /^(\d+)-\d+\.socket$/.exec(name)?.[1];
      return pid === undefined ? [] : [{ pid: Number(pid), path: join(folder, name) }];
    }),
  );
}

/** Who runs a process. @returns its user's number, nothing when there is no such process */
export function ownerOf(pid: number): number | undefined {
  return statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid;
}

function namesIn(folder: string, uid: number): string[] {
  try {
    return isPrivate(folder, uid) ? readdirSync(folder).sort() : [];
  } catch {
    return [];
  }
}
