import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { chooseAccelerator, rememberBrokenKvm, type Accelerator } from './accelerator.js';
import { commandScript, quote } from './command.js';
import { provideDriver } from './driver.js';
import { type Cable, Guest, SilentGuest, StuckGuest, type GuestPlan } from './guest.js';
import { provideInitramfs } from './initramfs.js';
import { provideKernel, type Series } from './kernel.js';
import { requireKnownProcessor } from './processor.js';
import { PROJECT } from './project.js';
import { findTool } from './tool.js';

/** What to boot. */
export interface Machine {
  /** Paths. */
  readonly image: string;
  readonly initramfs: string;
  /** Seconds the boot may take, if the usual limit is not enough. */
  readonly bootLimit?: number;
  /** What its command line needs. */
  readonly kernelArguments?: readonly string[];
}

/** How to run a command in the virtual machine. */
export interface VmOptions {
  /** One of the distribution's kernels, or what was made ready to boot. */
  readonly kernel: Series | Machine;
  /** Seconds the command may take; 0: any time. */
  readonly limit: number;
  /** MiB. */
  readonly memory: number;
  readonly cpus: number;
  /** NUMA nodes among which processors and memory are divided; default 1. */
  readonly nodes?: number;
  /** Load the driver with one of the original's faults, by its number. */
  readonly fault?: number;
  /** Shows on stderr the guest's console and how long the boot took. */
  readonly verbose: boolean;
  /** Added to the kernel's command line. */
  readonly kernelArguments?: readonly string[];
  /** Its device is on a cable to another virtual machine; otherwise nobody else is on its network. */
  readonly cable?: Cable;
  /** Where the command's output goes; default this process's own. */
  readonly stdout?: Writable;
  /** Ends the virtual machine, as a power cut does. */
  readonly signal?: AbortSignal;
}

/** Folders whose contents survive, relative to the project, with the names of their shares. */
const WRITABLE = ['bench/results', 'test/results'];

/** Everything to boot from: fetched, unpacked and built if it is not in the cache. */
export async function prepareVm(what: Series | Machine, fault?: number): Promise<Machine> {
  requireKnownProcessor();
  findTool('setpriv');
  findTool('qemu-system-x86_64');
  findTool('rdma');
  if (typeof what !== 'string') return what;
  const kernel = await provideKernel(what);
  const driver = await provideDriver(kernel, fault);
  const initramfs = await provideInitramfs(kernel, driver);
  return { image: kernel.image, initramfs };
}

/**
 * Runs a command in a freshly booted virtual machine, as root in the project's folder, with its output on our stdout
 * and stderr.
 * @returns the command's exit status
 * @throws VmError when the guest, its kernel or the time limit failed it
 */
export async function runInVm(argv: readonly string[], options: VmOptions): Promise<number> {
  const {
    image,
    initramfs,
    bootLimit,
    kernelArguments = [],
  } = await prepareVm(options.kernel, options.fault);
  const shares = WRITABLE.map((folder) => ({
    tag: folder.replaceAll('/', '-'),
    path: join(PROJECT, folder),
  }));
  for (const { path } of shares) mkdirSync(path, { recursive: true });
  const tell = (text: string): void => {
    if (options.verbose) process.stderr.write(text);
  };
  const plan: GuestPlan = {
    image,
    initramfs,
    ...(bootLimit === undefined ? {} : { bootLimit }),
    memory: options.memory,
    cpus: options.cpus,
    nodes: options.nodes ?? 1,
    kernelArguments: [...kernelArguments, ...(options.kernelArguments ?? [])],
    shares,
    settings: [
      `project=${quote(PROJECT)}`,
      `shares=${quote(shares.map(({ tag }) => tag).join(' '))}`,
      `rdma=${quote(findTool('rdma'))}`,
      `address=${quote(options.cable?.address ?? '')}`,
      '',
    ].join('\n'),
    command: commandScript(argv, PROJECT, process.env),
    limit: options.limit,
    cable: options.cable,
    signal: options.signal,
    onConsole: tell,
    stdout: options.stdout ?? process.stdout,
    stderr: process.stderr,
  };
  const accelerator = chooseAccelerator();
  try {
    return await boot(plan, accelerator, tell);
  } catch (error) {
    if (accelerator !== 'kvm' || !(error instanceof SilentGuest)) throw error;
    process.stderr.write('KVM is there but does not work; emulating the processor instead.\n');
    tell(`${error.message}\n`);
    rememberBrokenKvm();
    return boot(plan, 'tcg', tell);
  }
}

/** An emulated processor once in some hundred boots stands still for good: twice in a row is no chance. */
async function boot(
  plan: GuestPlan,
  accelerator: Accelerator,
  tell: (text: string) => void,
): Promise<number> {
  try {
    return await bootOnce(plan, accelerator, tell);
  } catch (error) {
    if (!(error instanceof StuckGuest)) throw error;
    process.stderr.write('The virtual machine got stuck while it booted: booting it again.\n');
    tell(`${error.message}\n`);
    return bootOnce(plan, accelerator, tell);
  }
}

function bootOnce(plan: GuestPlan, accelerator: Accelerator, tell: (text: string) => void): Promise<number> {
  const start = performance.now();
  const onReady = (): void => {
    tell(`Booted in ${((performance.now() - start) / 1000).toFixed(1)} s.\n`);
  };
  tell(`Booting ${plan.image} (${accelerator}).\n`);
  return new Guest({ ...plan, onReady }, accelerator).run();
}
