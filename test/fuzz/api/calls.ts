import * as api from '../../../src/index.js';
import { OfTheCaller, STRANGE } from './values.js';
import type { World } from './world.js';

/** How a value is made, as data: printed, it can be made again. */
export type Recipe =
  | { readonly strange: string }
  | { readonly number: number }
  | { readonly object: number }
  | { readonly memory: number }
  | { readonly callback: number }
  | { readonly options: readonly (readonly [name: string, value: Recipe])[]; readonly getters: boolean };

/** A call of something that the package exports, or of a method of something that it has returned. */
export interface Call {
  /** Which of all targets there are then. */
  readonly target: number;
  /** Instead of the object that has the method. */
  readonly self?: Recipe | undefined;
  /** What takes the place of arguments that would be right; others follow them. */
  readonly args: readonly (readonly [index: number, value: Recipe])[];
  /** No argument that would be right: only those. */
  readonly bare: boolean;
}

export interface Target {
  readonly name: string;
  readonly self: unknown;
  readonly run: (self: unknown, args: unknown[]) => unknown;
  /** Nobody is promised anything but that the process survives. */
  readonly internal: boolean;
}

/** Of TypeScript's protected or @internal: no part of the interface, but in reach of JavaScript. */
const INTERNAL = new Set([
  ...[
    'acquireSlowly',
    'serveHits',
    'serveNone',
    'lastRelease',
    'gone',
    'invalidated',
    'drainedTo',
    'drained',
  ],
  ...[
    'hits',
    'entry',
    'begin',
    'end!',
    'useFor',
    'use',
    'unmark',
    'marked',
    'reaches',
    'within',
    'setKeys',
    'start',
    'watches',
  ],
]);

type AnyFunction = (...args: unknown[]) => unknown;

/** Everything that can be called now. */
export function targetsOf(world: World): Target[] {
  const targets: Target[] = [];
  for (const [name, value] of Object.entries(api) as [string, unknown][]) {
    if (typeof value !== 'function') continue;
    if (!isClass(value)) {
      targets.push(plain(name, undefined, value as AnyFunction));
      continue;
    }
    targets.push({
      ...plain(`new ${name}`, undefined, () => undefined),
      run: (_self, args) => Reflect.construct(value, args) as unknown,
      // Programs catch it, and do not make it.
      internal: name === 'RegcacheError',
    });
    for (const [key, { value: method }] of Object.entries(Object.getOwnPropertyDescriptors(value)))
      if (typeof method === 'function') targets.push(plain(`${name}.${key}`, value, method as AnyFunction));
  }
  for (const object of world.objects) if (!isPlainMemory(object)) targets.push(...methodsOf(object));
  return targets;
}

const isClass = (value: object): boolean => /^class\b/.test(Function.prototype.toString.call(value));

const isPlainMemory = (object: object): boolean =>
  ArrayBuffer.isView(object) || object instanceof ArrayBuffer || object instanceof SharedArrayBuffer;

function plain(name: string, self: unknown, method: AnyFunction): Target {
  return { name, self, run: (that, args) => method.apply(that, args), internal: false };
}

function methodsOf(object: object): Target[] {
  const targets: Target[] = [];
  for (
    let at = Object.getPrototypeOf(object) as object;
    at !== Object.prototype;
    at = Object.getPrototypeOf(at) as object
  ) {
    const owner = at.constructor.name;
    // Node's own have errors of their own.
    const inherited = owner === 'EventEmitter' || owner === 'Error';
    for (const key of Reflect.ownKeys(at)) {
      if (key === 'constructor') continue;
      const name = `${owner}.${String(key)}`;
      const internal =
        inherited || INTERNAL.has(String(key)) || (key === 'end' && owner === 'UserfaultfdMonitor');
      for (const part of Object.values(Object.getOwnPropertyDescriptor(at, key)!) as unknown[])
        if (typeof part === 'function')
          targets.push({ ...plain(name, object, part as AnyFunction), internal });
    }
  }
  return targets;
}

export function make(recipe: Recipe, world: World): unknown {
  if ('strange' in recipe) return STRANGE[recipe.strange]();
  if ('number' in recipe) return recipe.number;
  if ('object' in recipe) return world.objects[recipe.object % world.objects.length];
  if ('memory' in recipe) {
    const memories = world.objects.filter(isPlainMemory);
    return memories[recipe.memory % memories.length];
  }
  if ('callback' in recipe) return callback(recipe.callback, world);
  const options = {};
  for (const [name, value] of recipe.options) {
    const made = make(value, world);
    const other = STRANGE['2^32']();
    let asked = 0;
    // The second answer is another one.
    const getter = { get: () => (asked++ === 0 ? made : other), enumerable: true, configurable: true };
    Object.defineProperty(
      options,
      name,
      recipe.getters ? getter : { value: made, enumerable: true, configurable: true },
    );
  }
  return options;
}

/** Functions that throw, return nonsense, or call back in. */
function callback(kind: number, world: World): AnyFunction {
  const cache = world.latest(api.RegistrationCache);
  const buffer = Buffer.alloc(64);
  const all: AnyFunction[] = [
    () => {
      throw new OfTheCaller();
    },
    () => STRANGE['revoked proxy'](),
    () => cache?.close(),
    () => cache?.drain(),
    () => cache?.acquire(buffer).release(),
    () => cache?.flush(),
    () => world.latest(api.CompletionQueue)?.close(),
    () => world.latest(api.UmmunotifyMonitor)?.close(),
  ];
  return all[kind % all.length];
}

/** Arguments that are right, as far as there is what they need. */
const RIGHT = new Map<string, (world: World) => unknown[]>(
  Object.entries({
    acquire: (world) => [memoryOf(world)],
    acquireAsync: (world) => [memoryOf(world), 1, { signal: abortedSoon(world) }],
    acquireUncached: (world) => [memoryOf(world)],
    acquireRange: (world) => [api.addressOf(memoryOf(world)), 64],
    pin: (world) => [memoryOf(world)],
    invalidate: (world) => [memoryOf(world), { signal: abortedSoon(world) }],
    end: (world) => [{ signal: abortedSoon(world) }],
    setLimits: () => [{ maxRegistrations: 4, maxPinnedBytes: 65536 }],
    bypass: () => [true],
    on: (world) => ['retire', callback(world.objects.length, world)],
    once: (world) => ['stale', callback(world.objects.length, world)],
    watch: (world) => [
      api.addressOf(memoryOf(world)),
      api.addressOf(memoryOf(world)) + 64,
      world.objects.length,
      1,
    ],
    unwatch: (world) => [world.objects.length],
    drain: (world) => [{ invalidated: () => undefined, drainedTo: callback(world.objects.length, world) }],
    whenPending: (world) => [callback(world.objects.length, world)],
    register: (world) => [api.addressOf(memoryOf(world)), 64, 1],
    registerAsync: (world) => [api.addressOf(memoryOf(world)), 64, 1],
    deregister: (world) => [world.latest(api.MemoryRegion)],
    createQueuePair: (world) => [{ sendQueue: world.latest(api.CompletionQueue) }],
    createCompletionQueue: () => [{ entries: 8, batch: 4, events: true }],
    connect: (world) => [attemptLocal(world)],
    toReadyToReceive: (world) => [attemptLocal(world)],
    toReadyToSend: (world) => [attemptLocal(world)],
    modify: () => [Buffer.alloc(256), 1],
    postSend: (world) => [world.latest(api.SendRequests)],
    postReceive: (world) => [world.latest(api.ReceiveRequests)],
    pollRaw: () => [4],
    wait: (world) => [abortedSoon(world)],
    queryPort: () => [1],
    queryGid: () => [1, 0],
    send: (world) => [1, api.addressOf(memoryOf(world)), 16, keyOf(world), 2],
    sendWithImmediate: (world) => [1, api.addressOf(memoryOf(world)), 16, keyOf(world), 7],
    write: (world) => [1, api.addressOf(memoryOf(world)), 16, keyOf(world), 4096, keyOf(world)],
    writeWithImmediate: (world) => [
      1,
      api.addressOf(memoryOf(world)),
      16,
      keyOf(world),
      4096,
      keyOf(world),
      7,
    ],
    read: (world) => [1, api.addressOf(memoryOf(world)), 16, keyOf(world), 4096, keyOf(world)],
    compareAndSwap: (world) => [1, api.addressOf(memoryOf(world)), keyOf(world), 4096, keyOf(world), 1n, 2n],
    fetchAndAdd: (world) => [1, api.addressOf(memoryOf(world)), keyOf(world), 4096, keyOf(world), 1n],
    receive: (world) => [1, api.addressOf(memoryOf(world)), 16, keyOf(world)],
    addSegment: (world) => [api.addressOf(memoryOf(world)), 16, keyOf(world)],
    // Names of other classes' methods, too; most of it goes to nobody.
    accept: (world) => [{ signal: abortedSoon(world) }],
    listen: () => [{ backlog: 2 }],
    createCache: (world) => [world.latest(api.ProtectionDomain), { monitor: 'none' }],
    completionError: () => [{ id: 1, status: 'REM_ACCESS_ERR', qpNumber: 1, vendorError: 0 }],
    addressOf: (world) => [memoryOf(world)],
    allocatePageAligned: () => [4096],
    'new SendRequests': () => [2, 2],
    'new ReceiveRequests': () => [2, 2],
    'new ProtectionDomain': (world) => [world.latest(api.Context)],
    'new CompletionQueue': (world) => [world.latest(api.Context), { entries: 8 }],
    'new QueuePair': (world) => [
      world.latest(api.ProtectionDomain),
      { sendQueue: world.latest(api.CompletionQueue) },
    ],
    'new IbverbsRegistrar': (world) => [world.latest(api.ProtectionDomain)],
    'new RegistrationCache': (world) => [
      { monitor: new api.NoMonitor(), registrar: world.latest(api.IbverbsRegistrar) },
    ],
  } satisfies Record<string, (world: World) => unknown[]>),
);

function memoryOf(world: World): Uint8Array {
  return world.all(Uint8Array).at(-1) ?? Buffer.alloc(64);
}

const keyOf = (world: World): number => world.latest(api.MemoryRegion)?.lkey ?? 1;

const attemptLocal = (world: World): unknown => {
  try {
    return world.latest(api.QueuePair)?.local;
  } catch {
    return undefined;
  }
};

/** A signal that aborts in a microtask, and whose abort calls back in. */
function abortedSoon(world: World): AbortSignal {
  const controller = new AbortController();
  const back = callback(world.objects.length, world);
  controller.signal.addEventListener('abort', () => {
    try {
      back();
    } catch {
      // Not what is tested.
    }
  });
  queueMicrotask(() => {
    controller.abort(new OfTheCaller());
  });
  return controller.signal;
}

export function argumentsOf({ name }: Target, { args, bare }: Call, world: World): unknown[] {
  const right = RIGHT.get(name) ?? RIGHT.get(name.slice(name.lastIndexOf('.') + 1));
  const made = bare || right === undefined ? [] : right(world);
  for (const [index, value] of args) made[index % (made.length + 1)] = make(value, world);
  return made;
}
