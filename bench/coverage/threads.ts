import { readdirSync, readFileSync } from 'node:fs';

/** What the threads of a process do: name, state (proc(5)), where in the kernel it waits (for root), and how many do. */
export function threadsOf(pid: number): string {
  const tasks = `/proc/${pid}/task`;
  try {
    const counts = new Map<string, number>();
    for (const task of readdirSync(tasks)) {
      const read = (file: string): string => readFileSync(`${tasks}/${task}/${file}`, 'latin1').trim();
      const state = /^State:\s*(\S)/m.exec(read('status'))?.[1] ?? '?';
      const what = `${read('comm')} ${state} ${read('wchan')}`;
      counts.set(what, (counts.get(what) ?? 0) + 1);
    }
    return [...counts].map(([what, count]) => `${what} (${count})`).join(', ');
  } catch (error) {
    // It ends just now, or one of its threads.
    return (error as Error).message;
  }
}
