import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { needs } from '../needs.js';

type Layout = Record<string, Record<string, number>>;

/** Sizes and offsets of structures as expressions of C, with what we take them for. */
export function expressionsOf(layout: Layout): [expression: string, value: number][] {
  return Object.entries(layout).flatMap(([struct, fields]) =>
    Object.entries(fields).map(([field, offset]): [string, number] => {
      const type = `struct ${struct}`;
      return [field === 'sizeof' ? `sizeof(${type})` : `offsetof(${type}, ${field})`, offset];
    }),
  );
}

/**
 * What a C compiler makes of expressions; skips the test where it lacks the compiler or the headers.
 * @param context `this` of the test
 * @param capability what it needs, e.g. `'cc + libibverbs-dev'`
 */
export function valuesInC(
  context: Mocha.Context,
  capability: string,
  headers: readonly string[],
  expressions: readonly string[],
): number[] {
  const includes = headers.map((header) => `#include <${header}>\n`).join('');
  const probe = spawnSync('cc', ['-E', '-x', 'c', '-'], { input: includes, maxBuffer: 1 << 26 });
  needs(context, capability, probe.status === 0);
  const folder = mkdtempSync(path.join(tmpdir(), 'c-layout-'));
  try {
    const [source, program] = [path.join(folder, 'layout.c'), path.join(folder, 'layout')];
    const lines = expressions.map((expression) => `printf("%lld\\n", (long long)(${expression}));`);
    writeFileSync(
      source,
      `#include <stddef.h>\n#include <stdio.h>\n${includes}int main(void) {\n${lines.join('\n')}\nreturn 0;\n}\n`,
    );
    execFileSync('cc', ['-o', program, source]);
    return execFileSync(program, { encoding: 'utf8' }).trimEnd().split('\n').map(Number);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
