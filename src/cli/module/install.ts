import { mkdirSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { CliError } from '../cli-error.js';
import { readText } from '../kernel-files.js';
import { asRoot } from '../package.js';
import { findProgram, installCommand, runProgram } from '../programs.js';
import { build } from './build.js';
import type { Target } from './kernel-headers.js';
import { moduleState } from './state.js';
import { deviceState } from './status.js';

/** Where systemd looks for modules to load at boot (modules-load.d(5)). */
const AT_BOOT = '/etc/modules-load.d';

/** @throws CliError with the command that does it, for who is not root */
export function requireRoot(args: readonly string[], user = process.getuid?.()): void {
  if (user === 0) return;
  throw new CliError(`this needs root:\n\n  ${asRoot('module', 'install', ...args)}`);
}

/** Build and install the module; load it if it is for the running kernel. */
export async function install(target: Target, tell: (step: string) => void): Promise<void> {
  const depmod = requireKmod('depmod');
  const modprobe = requireKmod('modprobe');
  const folder = await build(target, tell);
  tell('Installing module, header and udev rule');
  // Built above, also when the headers say that there is something left to do.
  await runProgram(target.make, ['-C', folder, `KDIR=${target.headers}`, '-o', 'modules', 'install']);
  await runProgram(depmod, ['-a', target.kernel]);
  mkdirSync(AT_BOOT, { recursive: true });
  writeFileSync(`${AT_BOOT}/ummunotify.conf`, 'ummunotify\n');
  if (target.kernel !== release()) return;
  await load(modprobe, tell);
}

async function load(modprobe: string, tell: (step: string) => void): Promise<void> {
  const { loaded, installed } = await moduleState();
  if (loaded !== null && loaded.srcversion !== installed?.srcversion) {
    const users = Number(readText('/sys/module/ummunotify/refcnt') ?? 0);
    if (users !== 0) {
      throw new CliError(
        `installed; another build is loaded and in use by ${users} program(s). When they have ended:\n\n` +
          '  sudo modprobe -r ummunotify && sudo modprobe ummunotify',
      );
    }
    tell('Unloading the build that was loaded');
    await runProgram(modprobe, ['-r', 'ummunotify']);
  }
  tell('Loading it');
  await runProgram(modprobe, ['ummunotify']);
  const { usable, error } = await deviceState();
  if (!usable) throw new CliError(`the module is loaded, and its device cannot be used: ${error!}`);
}

function requireKmod(name: string): string {
  const path = findProgram(name);
  if (path !== undefined) return path;
  throw new CliError(`missing: ${name}\n\n  ${installCommand({ apt: ['kmod'], dnf: ['kmod'] })}`);
}
