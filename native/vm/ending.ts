import { constants } from 'node:os';
import { readFileSync } from 'node:fs';

/**
 * Makes this process end, through its `exit` handlers, when it is told to, when nobody reads its output any more, and
 * when npm, which started it, is gone: npm killed with SIGKILL leaves its children running.
 */
export function endWithCaller(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => process.exit(128 + constants.signals[signal]));
  }
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', () => process.exit(128 + constants.signals.SIGPIPE));
  }
  if (process.env['npm_lifecycle_event'] === undefined) return;
  const shell = process.ppid;
  const npm = parentOf(shell);
  setInterval(() => {
    if (process.ppid !== shell || parentOf(shell) !== npm) process.exit(128 + constants.signals.SIGHUP);
  }, 500).unref();
}

/** Parent of a process, from /proc/PID/stat; the name in it, in brackets, may contain anything. */
function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined;
  }
}
