import { spawn, type ChildProcess } from 'node:child_process';
import type { Duplex, Readable, Writable } from 'node:stream';
import { acceleratorOptions, KVM_SILENCE_MS, type Accelerator } from './accelerator.js';
import { STATUS_TIME_LIMIT, VmError } from './errors.js';
import { consoleEnd, findTrouble } from './trouble.js';
import { findTool } from './tool.js';

/** A folder of the host that the guest may write to. */
export interface Share {
  readonly tag: string;
  readonly path: string;
}

/**
 * An Ethernet cable between two guests: a socket of each, to which the other sends frames. A guest may come and go while
 * the other runs.
 */
export interface Cable {
  /** Path of this guest's own socket; short, as paths of sockets have to be. */
  readonly here: string;
  readonly there: string;
  /** Of the network card. */
  readonly mac: string;
  /** IPv4 address and length of the network's prefix, e.g. `'10.77.0.1/24'`. */
  readonly address: string;
}

/** What to boot and what to run in it. */
export interface GuestPlan {
  readonly image: string;
  readonly initramfs: string;
  /** Seconds until the command starts. */
  readonly bootLimit?: number;
  /** MiB. */
  readonly memory: number;
  readonly cpus: number;
  /** NUMA nodes. */
  readonly nodes: number;
  readonly kernelArguments: readonly string[];
  readonly shares: readonly Share[];
  readonly cable?: Cable | undefined;
  /** Cuts the guest's power when it aborts. */
  readonly signal?: AbortSignal | undefined;
  /** Shell text that tells the guest its surroundings. */
  readonly settings: string;
  /** Shell text that becomes the command. */
  readonly command: string;
  /** Seconds the command may take; 0: any time. */
  readonly limit: number;
  /** Everything the guest's console says, as it says it. */
  readonly onConsole?: (text: string) => void;
  /** The guest is up and the command starts. */
  readonly onReady?: () => void;
  readonly stdout: Writable;
  readonly stderr: Writable;
}

/** The guest did not get as far as its first line of output: on KVM, a KVM that does not work. */
export class SilentGuest extends VmError {}

/** The guest did not come up, and nothing says why. */
export class StuckGuest extends VmError {}

/**
 * Seconds until the command starts, unless the plan says otherwise; without KVM and on a busy machine it takes a third of
 * this.
 */
const BOOT_LIMIT_S = 90;

const CONSOLE_KEPT = 1 << 20;

/** What init.sh prints on the console before it tells the status. */
const CONSOLE_END = 'guest: ended';

/** One run of QEMU, from boot to the end of the command. */
export class Guest {
  readonly #plan: GuestPlan;
  readonly #accelerator: Accelerator;
  readonly #process: ChildProcess;
  readonly #outputs: readonly Output[];
  readonly #timers = new Set<NodeJS.Timeout>();
  #console = '';
  #complaints = '';
  #control = '';
  #ready = false;
  #settle: { resolve: (status: number) => void; reject: (error: Error) => void } | undefined;
  readonly #killAtExit = (): void => {
    this.#process.kill('SIGKILL');
  };

  constructor(plan: GuestPlan, accelerator: Accelerator) {
    this.#plan = plan;
    this.#accelerator = accelerator;
    // A runner that dies by SIGKILL cannot end its guest: the kernel does it then.
    this.#process = spawn(
      findTool('setpriv'),
      ['--pdeathsig', 'KILL', findTool('qemu-system-x86_64'), ...qemuOptions(plan, accelerator)],
      { stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe', 'pipe'] },
    );
    process.on('exit', this.#killAtExit);
    const [, console, complaints, control, stdout, stderr] = this.#process.stdio as unknown as Duplex[];
    this.#readConsole(console);
    complaints.setEncoding('utf8').on('data', (text: string) => (this.#complaints += text));
    this.#outputs = [new Output(stdout, plan.stdout), new Output(stderr, plan.stderr)];
    this.#talk(control);
  }

  /** The command's exit status. Rejects with VmError when the guest or its kernel failed or time ran out. */
  async run(): Promise<number> {
    try {
      return await new Promise<number>((resolve, reject) => {
        this.#settle = { resolve, reject };
        this.#process.on('error', reject);
        this.#plan.signal?.addEventListener('abort', () => this.#process.kill('SIGKILL'), { once: true });
        this.#process.on('close', () => {
          reject(this.#died());
        });
        const { bootLimit = BOOT_LIMIT_S } = this.#plan;
        this.#after(bootLimit, () => (this.#ready ? undefined : this.#timeOut('booting', bootLimit)));
        if (this.#accelerator === 'kvm') {
          this.#after(KVM_SILENCE_MS / 1000, () =>
            this.#console === '' ? new SilentGuest('the guest stayed silent') : undefined,
          );
        }
      });
    } finally {
      this.#end();
    }
  }

  #after(seconds: number, check: () => Error | undefined): void {
    const timer = setTimeout(() => {
      const error = check();
      if (error) this.#settle?.reject(error);
    }, seconds * 1000);
    this.#timers.add(timer);
  }

  #timeOut(what: string, seconds: number): VmError {
    const trouble = findTrouble(this.#console, 0);
    const why = trouble === undefined ? '' : `; ${trouble}`;
    const text = `${what} took longer than its limit of ${seconds} s${why}`;
    if (this.#ready) return new VmError(text, STATUS_TIME_LIMIT);
    const Kind = trouble === undefined ? StuckGuest : VmError;
    return new Kind(`${text}; ${consoleEnd(this.#console)}`, STATUS_TIME_LIMIT);
  }

  #died(): VmError {
    const trouble = findTrouble(this.#console, 0);
    const why = this.#complaints.trim();
    if (this.#console === '') return new SilentGuest(`QEMU ended: ${why || 'it said nothing'}`);
    return new VmError(
      `the virtual machine ended before the command did${why ? ` (${why})` : ''}; ` +
        (trouble ?? consoleEnd(this.#console)),
    );
  }

  #readConsole(stream: Readable): void {
    stream.setEncoding('utf8').on('data', (text: string) => {
      this.#console = (this.#console + text).slice(-CONSOLE_KEPT);
      this.#plan.onConsole?.(text);
    });
  }

  #talk(control: Duplex): void {
    // The guest may be gone before it took what is sent; `close` of the process says so better.
    control.on('error', () => undefined);
    for (const text of [this.#plan.settings, this.#plan.command]) {
      control.write(`${Buffer.byteLength(text)}\n${text}`);
    }
    control.setEncoding('utf8').on('data', (text: string) => {
      const lines = (this.#control + text).split('\n');
      this.#control = lines.pop()!;
      for (const line of lines) this.#hear(line);
    });
  }

  #hear(line: string): void {
    const [word, ...rest] = line.split(' ');
    if (word === 'ready') {
      this.#ready = true;
      const { limit } = this.#plan;
      if (limit > 0) this.#after(limit, () => this.#timeOut('the command', limit));
      this.#plan.onReady?.();
    } else if (word === 'fail') {
      this.#settle?.reject(new VmError(`the guest says: ${rest.join(' ')}; ${consoleEnd(this.#console)}`));
    } else if (word === 'status') {
      const [status, taint, stdout, stderr] = rest;
      void this.#finish(Number(status), Number(taint), [Number(stdout), Number(stderr)]);
    }
  }

  /** The last output may still be on its way when the status is known. */
  async #finish(status: number, taint: number, sizes: readonly number[]): Promise<void> {
    await Promise.all(this.#outputs.map((output, index) => output.reach(sizes[index] ?? -1)));
    await this.#consoleEnded();
    const trouble = findTrouble(this.#console, taint);
    if (trouble === undefined) this.#settle?.resolve(status);
    else this.#settle?.reject(new VmError(`${trouble}\nThe command itself ended with status ${status}.`));
  }

  /** The console comes by another way than the status: what the kernel had to say must all be here. */
  async #consoleEnded(): Promise<void> {
    for (let tries = 0; tries < 100 && !this.#console.includes(CONSOLE_END); tries++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  #end(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#process.kill('SIGKILL');
    process.off('exit', this.#killAtExit);
  }
}

/** One of the command's two output streams on its way to ours. */
class Output {
  #bytes = 0;
  #waiting: (() => void) | undefined;
  #wanted = Infinity;

  constructor(from: Readable, to: Writable) {
    from.on('data', (chunk: Buffer) => {
      if (!to.write(chunk)) {
        from.pause();
        to.once('drain', () => from.resume());
      }
      this.#bytes += chunk.length;
      if (this.#bytes >= this.#wanted) this.#waiting?.();
    });
    from.on('error', () => undefined);
    from.on('close', () => this.#waiting?.());
  }

  /** Waits until so many bytes have passed; -1: the guest could not tell, take what there is within a second. */
  reach(bytes: number): Promise<void> {
    return new Promise((resolve) => {
      this.#wanted = bytes;
      this.#waiting = resolve;
      if (bytes < 0) setTimeout(resolve, 1000);
      else if (this.#bytes >= bytes) resolve();
    });
  }
}

/** Processors and memory divided evenly; what does not divide goes to the last node. */
function nodeOptions({ nodes, cpus, memory }: GuestPlan): string[] {
  if (nodes === 1) return [];
  const share = (total: number, node: number): number =>
    node === nodes - 1 ? total - Math.floor(total / nodes) * (nodes - 1) : Math.floor(total / nodes);
  return Array.from({ length: nodes }, (_, node) => {
    const first = node * Math.floor(cpus / nodes);
    return [
      ...['-object', `memory-backend-ram,id=node${node},size=${share(memory, node)}M`],
      ...['-numa', `node,nodeid=${node},memdev=node${node},cpus=${first}-${first + share(cpus, node) - 1}`],
    ];
  }).flat();
}

function cableOptions({ here, there, mac }: Cable, file: (path: string) => string): string[] {
  const ends = [`local.type=unix,local.path=${file(here)}`, `remote.type=unix,remote.path=${file(there)}`];
  return [
    ...['-netdev', `dgram,id=cable,${ends.join(',')}`],
    ...['-device', `virtio-net-pci,netdev=cable,mac=${mac}`],
  ];
}

/** QEMU's command line. A fixed path may contain commas, which QEMU wants doubled. */
function qemuOptions(plan: GuestPlan, accelerator: Accelerator): string[] {
  const file = (path: string): string => path.replaceAll(',', ',,');
  const port = (name: string, fd: number): string[] => [
    '-chardev',
    `socket,id=${name},fd=${fd}`,
    '-device',
    `virtserialport,chardev=${name},name=${name}`,
  ];
  const share = (tag: string, path: string, readonly: boolean): string[] => [
    '-fsdev',
    `local,id=${tag},path=${file(path)},security_model=none,multidevs=remap${readonly ? ',readonly=on' : ''}`,
    '-device',
    `virtio-9p-pci,fsdev=${tag},mount_tag=${tag}`,
  ];
  const kernelArguments = [
    'console=ttyS0',
    // Warnings and worse are shown: the runner looks for them.
    'loglevel=5',
    // An oops ends the run at once instead of leaving locks held forever.
    'oops=panic',
    'panic=-1',
    // Emulated, these cost time and protect nothing.
    'mitigations=off',
    ...plan.kernelArguments,
  ];
  return [
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-name', 'rdma-regcache'],
    ...acceleratorOptions(accelerator),
    // A node is a socket: processors that share a cache and not a node make the kernel warn.
    ...['-smp', `${plan.cpus},sockets=${plan.nodes}`, '-m', `${plan.memory}M`],
    ...nodeOptions(plan),
    ...['-kernel', plan.image, '-initrd', plan.initramfs, '-append', kernelArguments.join(' ')],
    ...['-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console'],
    ...['-device', 'virtio-serial-pci'],
    ...port('control', 3),
    ...port('stdout', 4),
    ...port('stderr', 5),
    ...(plan.cable === undefined ? [] : cableOptions(plan.cable, file)),
    ...share('host', '/', true),
    ...plan.shares.flatMap(({ tag, path }) => share(tag, path, false)),
  ];
}
