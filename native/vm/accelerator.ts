import { accessSync, constants, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from './cache-folder.js';

/** How QEMU runs the guest's code: on the processor itself, or emulated in software. */
export type Accelerator = 'kvm' | 'tcg';

/** How long a guest on a working KVM may stay silent, in milliseconds; it takes a tenth of this. */
export const KVM_SILENCE_MS = 5000;

/** QEMU's options for an accelerator. */
export function acceleratorOptions(accelerator: Accelerator): string[] {
  return accelerator === 'kvm'
    ? ['-accel', 'kvm', '-cpu', 'host']
    : ['-accel', 'tcg,thread=multi', '-cpu', 'max'];
}

/** What to try first: KVM if it is there and was not found broken lately. */
export function chooseAccelerator(): Accelerator {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
  } catch {
    return 'tcg';
  }
  return wasFoundBroken() ? 'tcg' : 'kvm';
}

const BROKEN_FOR_MS = 7 * 24 * 3600 * 1000;

interface Finding {
  readonly boot: string;
  readonly time: number;
}

function findingFile(): string {
  return join(cacheFolder(), 'kvm-does-not-work.json');
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

function wasFoundBroken(): boolean {
  try {
    const finding = JSON.parse(readFileSync(findingFile(), 'utf8')) as Finding;
    return finding.boot === bootId() && Date.now() - finding.time < BROKEN_FOR_MS;
  } catch {
    return false;
  }
}

/** KVM can be there and still run no guest, e.g. inside another virtual machine: spare the next boot the attempt. */
export function rememberBrokenKvm(): void {
  const finding: Finding = { boot: bootId(), time: Date.now() };
  mkdirSync(cacheFolder(), { recursive: true });
  const temporary = `${findingFile()}.${process.pid}`;
  writeFileSync(temporary, JSON.stringify(finding));
  renameSync(temporary, findingFile());
}
