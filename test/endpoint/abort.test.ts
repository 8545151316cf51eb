import assert from 'node:assert/strict';
import dns from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';
import { librdmacm, type Library } from '../../src/cm/library.js';
import { connect } from '../../src/endpoint/connect.js';
import { listen } from '../../src/endpoint/listener.js';
import { connectionsThatLeaveNothing, hostOfDevice } from './fixture.js';
import { withReplaced } from './replaced.js';
import { requireStack } from '../system/stack.js';

/** Calls of the library that connecting makes, in their order. */
const CALLS = [
  'createId',
  'resolveAddr',
  'resolveRoute',
  'initQpAttr',
  'connect',
  'establish',
] as const satisfies (keyof Library)[];

/** Those of them that a listener in the same process makes none of. */
const STEPS = ['resolveAddr', 'resolveRoute', 'connect', 'establish'] as const;

/** Events while one connects: the address, the route, the listener's request, and its answer. */
const EVENTS = 4;

/** So many turns of the microtask queue, after which what was awaited goes on step by step. */
const TURNS = [0, 1, 2];

function afterTurns(turns: number, then: () => void): void {
  if (turns === 0) then();
  else
    queueMicrotask(() => {
      afterTurns(turns - 1, then);
    });
}

/** The same function, with somebody told of the steps that are begun in it. */
function withSteps(begin: (step: string) => void, run: () => Promise<void>): () => Promise<void> {
  return STEPS.reduce((inner, step) => {
    return () => {
      const library = librdmacm();
      const original = library[step].bind(library) as (...args: unknown[]) => number;
      const telling = (...args: unknown[]): number => {
        begin(step);
        return original(...args);
      };
      return withReplaced(library, step, telling, inner);
    };
  }, run);
}

describe('connecting is given up', function () {
  this.timeout(120_000);
  requireStack();
  connectionsThatLeaveNothing();

  /** @param reaching runs what it is given so that the other is called on the way */
  async function isGivenUp(
    reaching: (abort: () => void, run: () => Promise<void>) => Promise<void>,
  ): Promise<void> {
    await using listener = await listen();
    const reason = new Error('enough');
    const controller = new AbortController();
    const abort = (): void => {
      controller.abort(reason);
    };
    const options = { host: hostOfDevice(), port: listener.port, signal: controller.signal };
    const late: string[] = [];
    const connecting = withSteps(
      (step) => {
        if (options.signal.aborted) late.push(step);
      },
      () => assert.rejects(connect(options), reason),
    );
    await reaching(abort, connecting);
    assert.deepEqual(late, [], 'no step is begun after it');
  }

  it('before_it_begins', async () => {
    const signal = AbortSignal.abort();
    await assert.rejects(connect({ host: hostOfDevice(), port: 1, signal }), { name: 'AbortError' });
  });

  for (const turns of TURNS) {
    it(`${turns}_turns_after_the_name_was_looked_up`, () =>
      isGivenUp(async (abort, run) => {
        const lookup = dns.promises.lookup.bind(dns.promises);
        const aborting = async (host: string) => {
          const found = await lookup(host);
          afterTurns(turns, abort);
          return found;
        };
        await withReplaced(dns.promises, 'lookup', aborting as typeof lookup, () => {
          syncBuiltinESMExports();
          return run();
        });
        syncBuiltinESMExports();
      }));
  }

  for (const call of CALLS) {
    it(`in_the_call_${call}`, () =>
      isGivenUp((abort, run) => {
        const library = librdmacm();
        const original = library[call].bind(library) as (...args: unknown[]) => number;
        const aborting = (...args: unknown[]): number => {
          const result = original(...args);
          abort();
          return result;
        };
        return withReplaced(library, call, aborting, run);
      }));
  }

  for (let event = 1; event <= EVENTS; event++) {
    for (const turns of TURNS) {
      it(`${turns}_turns_after_event_${event}`, () =>
        isGivenUp((abort, run) => {
          const library = librdmacm();
          const original = library.ackCmEvent.bind(library);
          let events = 0;
          const aborting: typeof original = (pointer) => {
            const result = original(pointer);
            if (++events === event) afterTurns(turns, abort);
            return result;
          };
          return withReplaced(library, 'ackCmEvent', aborting, run);
        }));
    }
  }
});
