import { existsSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { CliError } from '../cli-error.js';
import { readText } from '../kernel-files.js';
import { findProgram, installCommand } from '../programs.js';

/** What to build for. */
export interface Target {
  /** As `uname -r` prints it. */
  readonly kernel: string;
  /** Folder of the kernel's headers. */
  readonly headers: string;
  readonly make: string;
}

/** The kernel and headers named, or else the running kernel and where distributions put its headers. */
export function chooseTarget(named: { kernel?: string | undefined; headers?: string | undefined }): {
  kernel: string;
  headers: string;
} {
  const { headers } = named;
  if (headers === undefined) {
    const kernel = named.kernel ?? release();
    return { kernel, headers: join('/lib/modules', kernel, 'build') };
  }
  // Not include/config/kernel.release: a distribution's own name of the release need not be in it.
  const utsrelease = readText(join(headers, 'include/generated/utsrelease.h')) ?? '';
  const kernel = /UTS_RELEASE "(.*)"/.exec(utsrelease)?.[1] ?? named.kernel;
  if (kernel === undefined || !existsSync(join(headers, 'Makefile')))
    throw new CliError(`${headers} does not hold the headers of a configured kernel`);
  if (named.kernel !== undefined && named.kernel !== kernel)
    throw new CliError(`${headers} is of Linux ${kernel}, not ${named.kernel}`);
  return { kernel, headers };
}

/**
 * The same, once all is there that a build takes.
 * @throws CliError with one command that gets all that is missing
 */
export function requireTools({ kernel, headers }: { kernel: string; headers: string }): Target {
  const missing: { what: string; apt: string; dnf: string }[] = [];
  if (!existsSync(join(headers, 'Makefile'))) {
    const what = `the headers of Linux ${kernel} (${headers})`;
    missing.push({ what, apt: `linux-headers-${kernel}`, dnf: `kernel-devel-${kernel}` });
  }
  const make = findProgram('make');
  if (make === undefined) missing.push({ what: 'make', apt: 'make', dnf: 'make' });
  const compiler = compilerOf(headers);
  if (findProgram(compiler) === undefined) missing.push({ what: compiler, apt: compiler, dnf: 'gcc' });
  if (missing.length === 0) return { kernel, headers, make: make! };
  const command = installCommand({
    apt: missing.map(({ apt }) => apt),
    dnf: missing.map(({ dnf }) => dnf),
  });
  throw new CliError(
    `missing: ${missing.map(({ what }) => what).join(', ')}\n\n  ${command}\n\n` +
      'Headers of a kernel of your own: --headers FOLDER.',
  );
}

/** Modules are built with the compiler that built the kernel; its name is the first word of the version's text. */
function compilerOf(headers: string): string {
  const config = readText(join(headers, '.config')) ?? '';
  return (
    /^CONFIG_CC_VERSION_TEXT="(?:\w+-linux-gnu-)?(gcc-\d+|clang-\d+|clang)\b/m.exec(config)?.[1] ?? 'gcc'
  );
}
