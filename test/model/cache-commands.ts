import fc from 'fast-check';
import { Access } from '../../src/access.js';
import { at, PAGES } from '../unit/cache-fixture.js';
import { FAULTS, MOMENTS, type Settings, World } from './cache-world.js';

/** What the list of ranges looks like before a command decides whether it makes sense: how many each side holds. */
interface Model {
  readonly held: number[];
}

/** A command of one of the two caches' users, or of the world around them. */
class Command implements fc.Command<Model, World> {
  readonly #text: string;
  readonly #needsHeld: number | undefined;
  readonly #work: (world: World) => void;

  /** @param needsHeld makes sense only when this side holds something */
  constructor(text: string, work: (world: World) => void, needsHeld?: number) {
    this.#text = text;
    this.#needsHeld = needsHeld;
    this.#work = work;
  }

  check({ held }: Readonly<Model>): boolean {
    return this.#needsHeld === undefined || held[this.#needsHeld] > 0;
  }

  run(model: Model, world: World): void {
    world.step(() => {
      this.#work(world);
    });
    world.sides.forEach(({ held }, side) => (model.held[side] = held.length));
  }

  toString(): string {
    return this.#text;
  }
}

const REMOTE = Access.LOCAL_WRITE | Access.REMOTE_WRITE;
const who = fc.nat(1);
/** Mostly few, so that much meets. */
const pages = fc
  .tuple(
    fc.oneof({ weight: 3, arbitrary: fc.nat(9) }, { weight: 1, arbitrary: fc.nat(PAGES - 1) }),
    fc.integer({ min: 1, max: 12 }),
  )
  .map(([first, count]) => ({ first, end: Math.min(first + count, PAGES) }));
const limit = fc.integer({ min: 1, max: 12 });
const rarely = fc.nat(3).map((n) => n === 0);

const obtain = fc
  .record({
    who,
    pages,
    how: fc.constantFrom('acquire' as const, 'acquire', 'acquire', 'acquire', 'pin', 'uncached'),
    access: fc.oneof(
      { weight: 2, arbitrary: fc.constant(Access.LOCAL_WRITE) },
      { weight: 1, arbitrary: fc.constantFrom(Access.NONE, REMOTE, Access.REMOTE_READ) },
    ),
    // Bytes left out at both ends.
    inset: fc.constantFrom(0, 0, 100),
  })
  .map(({ who, pages: { first, end }, how, access, inset }) => {
    const request = { how, access, start: at(first) + inset, end: at(end) - inset };
    return new Command(`${how}(${who}, ${first}-${end}, access ${access}, inset ${inset})`, (world) => {
      world.obtain(world.sides[who], request);
    });
  });

const release = fc.tuple(who, fc.nat(20)).map(
  ([who, which]) =>
    new Command(
      `release(${who}, ${which})`,
      (world) => {
        world.release(world.sides[who], which);
      },
      who,
    ),
);

const change = fc.tuple(fc.constantFrom('map' as const, 'map', 'unmap', 'protect'), pages).map(
  ([kind, { first, end }]) =>
    new Command(`${kind}(${first}-${end})`, (world) => {
      world.change(kind, first, end);
    }),
);

const changeDuring = fc.tuple(who, fc.constantFrom(...MOMENTS), pages, fc.integer({ min: 1, max: 10 })).map(
  ([who, moment, { first, end }, times]) =>
    new Command(`${moment}(${who}, map ${first}-${end}, ${times} times)`, (world) => {
      world.changeDuring(who, moment, first, end, times);
    }),
);

const arm = fc
  .tuple(who, fc.constantFrom(...FAULTS), fc.constantFrom('ENOMEM' as const, 'EINVAL', 'EIO'))
  .map(
    ([who, fault, errno]) =>
      new Command(`fail(${who}, ${fault}, ${errno})`, (world) => {
        world.arm(who, fault, errno);
      }),
  );

const setLimits = fc.tuple(who, limit, fc.constantFrom(1, 8, 20, Infinity)).map(
  ([who, maxRegistrations, pages]) =>
    new Command(`setLimits(${who}, ${maxRegistrations}, ${pages} pages)`, (world) => {
      world.setLimits(world.sides[who], { maxRegistrations, maxPinnedBytes: pages * (at(1) - at(0)) });
    }),
);

const invalidate = fc.tuple(who, pages).map(
  ([who, { first, end }]) =>
    new Command(`invalidate(${who}, ${first}-${end})`, (world) => {
      world.invalidate(world.sides[who], first, end);
    }),
);

const setBypass = fc.tuple(who, rarely).map(
  ([who, on]) =>
    new Command(`bypass(${who}, ${on})`, (world) => {
      world.setBypass(world.sides[who], on);
    }),
);

const simple = fc.tuple(who, fc.constantFrom('drain' as const, 'flush', 'reopen')).map(
  ([who, what]) =>
    new Command(`${what}(${who})`, (world) => {
      world[what](world.sides[who]);
    }),
);

const side = fc.record({
  maxRegistrations: limit,
  merge: rarely,
  keepRemote: fc.boolean(),
  // Sends every acquire the slow way.
  checking: rarely,
});
const settings: fc.Arbitrary<Settings> = fc.record({
  sides: fc.tuple(side, side),
  losesLast: fc.boolean(),
  // Of more slots than that the generation is unknown.
  generationWords: fc.constantFrom(0, 3, 64),
});

/** As often as each is named. */
const commands = fc.commands(
  [
    ...[obtain, obtain, obtain, obtain, obtain, release, release, release],
    ...[change, change, changeDuring, arm, setLimits, invalidate, setBypass, simple],
  ],
  { maxCommands: 100, size: 'max' },
);

export interface Runs {
  /** Sequences of commands. */
  numRuns: number;
  seed?: number;
}

/**
 * Whatever happens, in whatever order, two caches on one monitor hand out what a naive list of ranges says, and nothing
 * is left in the end.
 * @returns how many commands were run
 * @throws with a seed and a path that repeat it, when they do not
 */
export async function assertWhateverHappens(parameters: Runs): Promise<number> {
  let steps = 0;
  await fc.assert(
    fc.asyncProperty(settings, commands, async (settings, commands) => {
      const world = new World(settings);
      fc.modelRun(() => ({ model: { held: [0, 0] }, real: world }), commands);
      await world.end();
      steps += world.steps;
    }),
    parameters,
  );
  return steps;
}
