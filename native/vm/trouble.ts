/** Lines with which a kernel reports a fault of its own (Linux lib/bug.c, mm/kasan, kernel/locking, kernel/panic.c). */
const TROUBLE =
  /\b(WARNING: |BUG: |kernel BUG at|Oops[: ]|general protection fault|Kernel panic|KASAN:|UBSAN:|KCSAN:|kmemleak: \d+ new|refcount_t: |possible (circular|recursive) locking|INFO: (task|rcu|trying to register)|BUG \w+ \(|rcu: INFO|stack-protector:|list_(add|del) corruption)/;

/** Bits of /proc/sys/kernel/tainted that a fault sets (Linux Documentation/admin-guide/tainted-kernels.rst). */
const TAINTS: readonly (readonly [bit: number, meaning: string])[] = [
  [4, 'machine check'],
  [5, 'bad page'],
  [7, 'oops or BUG'],
  [9, 'WARN'],
  [14, 'soft lockup'],
];

/** What is wrong with the guest's kernel, or undefined when nothing is. */
export function findTrouble(console: string, taint: number): string | undefined {
  const marks = TAINTS.filter(([bit]) => ((taint >>> bit) & 1) === 1).map(([, meaning]) => meaning);
  const lines = console.split('\n');
  const first = lines.findIndex((line) => TROUBLE.test(line));
  if (first < 0 && marks.length === 0) return undefined;
  const title = `the guest's kernel reported a fault${marks.length > 0 ? ` (${marks.join(', ')})` : ''}`;
  const excerpt = first < 0 ? lines.slice(-40) : lines.slice(Math.max(0, first - 3), first + 60);
  return `${title}:\n${indent(excerpt)}`;
}

/** The last lines of the console, for the user to see why the guest did not get further. */
export function consoleEnd(console: string): string {
  const lines = console.trimEnd().split('\n').slice(-40);
  return console.trim() === ''
    ? "the guest's console stayed empty"
    : `the end of its console:\n${indent(lines)}`;
}

function indent(lines: readonly string[]): string {
  return lines.map((line) => `  ${line.replace(/\r$/, '')}`).join('\n');
}
