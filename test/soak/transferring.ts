import { Access } from '../../src/access.js';
import type { RegistrationCache } from '../../src/cache/cache.js';
import type { Registration } from '../../src/cache/registration.js';
import { RegcacheError } from '../../src/errors.js';
import { PAGE_SIZE } from '../../src/system/libc.js';
import { addressOf } from '../../src/memory/locate.js';
import { changeSomehow } from './changes.js';
import { Witnessed } from './consistency.js';
import { Content, readMemory, writeMemory } from './content.js';
import { Ends, MAX_MESSAGE, SETUPS } from './ends.js';
import { BEATS, type Orders, STALE, STOP, type Transferred, TRANSFERS } from './messages.js';
import { Places } from './places.js';
import { Random } from './random.js';

/** What acquiring memory may always fail with: the kernel moves pages about by itself, however often (khugepaged). */
const ALWAYS = ['ERR_MAPPING_UNSTABLE'];
/** What it may fail with while another thread unmaps the memory. */
const WHILE_CHANGING = [...ALWAYS, 'ERR_NOT_MAPPED', 'ERR_READ_ONLY_MEMORY'];

const SMALL_MESSAGE = 2 * PAGE_SIZE;
const BUFFERS = 8;
const CHECK_EACH = 50;
const FAILURES_KEPT = 20;
/** Each a millisecond later: seconds. */
const DRAINS = 100;

interface Range {
  readonly address: number;
  readonly length: number;
}

/** One end of a transfer: a part of a place that this thread has locked, or of a Buffer. */
interface Target {
  range: Range;
  readonly name: string;
  readonly buffer?: Buffer;
  /** Give it another mapping. */
  change?(): void;
  unlock(): void;
}

type Seen = Omit<Transferred, 'statistics' | 'watched' | 'registered' | 'pinnedBytes'>;

/** Sends and receives with two caches, and compares what arrived. */
export class Transferring {
  readonly #places: Places;
  readonly #words: Int32Array;
  readonly #thread: number;
  readonly #kept: boolean;
  readonly #random: Random;
  readonly #content: Content;
  readonly #setup;
  readonly ends: Ends;
  readonly #witnessed: readonly [Witnessed, Witnessed];
  readonly #buffers: Buffer[] = [];
  readonly #sent = Buffer.alloc(MAX_MESSAGE);
  readonly #poison = Buffer.alloc(MAX_MESSAGE);
  readonly #arrived = Buffer.alloc(MAX_MESSAGE);
  readonly #seen: Seen = {
    transfers: 0,
    raced: 0,
    refused: {},
    failures: [],
    stale: { sender: 0, receiver: 0 },
    contradictions: [],
    checks: 0,
  };

  constructor({ thread, seed, places, words, kept }: Orders) {
    this.#kept = kept;
    this.#places = new Places(places);
    this.#words = words;
    this.#thread = thread;
    this.#random = new Random(seed, thread);
    this.#content = new Content(this.#random);
    this.#setup = SETUPS[thread % SETUPS.length];
    this.ends = new Ends(this.#setup, kept);
    const [sender, receiver] = this.ends.caches;
    this.#witnessed = [new Witnessed(sender), new Witnessed(receiver)];
  }

  async untilStopped(): Promise<void> {
    for (let round = 1; Atomics.load(this.#words, STOP) === 0; round++) {
      if (this.#random.chance(0.3)) await this.#race();
      else await this.#transfer();
      Atomics.add(this.#words, BEATS + this.#thread, 1);
      if (round % CHECK_EACH === 0) await this.#check();
    }
  }

  /** What has been seen, and what is held now. */
  async tell(): Promise<Transferred> {
    await this.#check();
    const statistics = this.ends.caches.map((cache) => cache.statistics());
    const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
    return {
      ...this.#seen,
      statistics,
      watched: this.#kept ? 0 : sum(statistics.map(({ registered }) => registered)),
      registered: sum(statistics.map(({ registered }) => registered)) + 1,
      pinnedBytes: sum(statistics.map(({ pinnedBytes }) => pinnedBytes)) + MAX_MESSAGE,
    };
  }

  /** Acquire what another thread may be changing, and send what is pinned, whatever it is. Its bytes are not touched. */
  async #race(): Promise<void> {
    const { range } = this.#partOf(this.#random.below(Places.count));
    this.#seen.raced++;
    try {
      using registration = await this.#acquire(0, range, Access.LOCAL_WRITE);
      if (this.#random.chance(0.5)) await this.ends.sendAside({ ...range, key: registration.lkey });
    } catch (error) {
      this.#refused(error, WHILE_CHANGING);
    }
  }

  /** Count what an acquire was refused with. @throws any other error */
  #refused(error: unknown, expected: readonly string[]): void {
    if (!(error instanceof RegcacheError) || !expected.includes(error.code)) throw error;
    this.#seen.refused[error.code] = (this.#seen.refused[error.code] ?? 0) + 1;
  }

  async #transfer(): Promise<void> {
    const from = this.#random.chance(0.15) ? this.#aBuffer() : this.#lockOne();
    const to = this.#random.chance(0.15) ? this.#aBuffer() : this.#lockOne();
    try {
      // Both may be parts of one Buffer, in which what is sent would be overwritten.
      if (from === undefined || to === undefined || (from.buffer !== undefined && to.buffer !== undefined))
        return;
      await this.#transferBetween(from, to);
      // The same again, for the caches to find, or not to find where one has changed meanwhile.
      while (this.#random.chance(0.5)) {
        if (this.#random.chance(0.3)) this.#random.pick([from, to]).change?.();
        await this.#transferBetween(from, to);
      }
    } finally {
      from?.unlock();
      to?.unlock();
    }
  }

  async #transferBetween(from: Target, to: Target): Promise<void> {
    const random = this.#random;
    const way = random.pick(['send', 'send', 'send', 'write', 'read'] as const);
    const fromAccess = way === 'read' ? Access.REMOTE_READ : random.pick([Access.LOCAL_WRITE, Access.NONE]);
    const toAccess = way === 'write' ? Access.LOCAL_WRITE | Access.REMOTE_WRITE : Access.LOCAL_WRITE;
    const held: Registration[] = [];
    try {
      // What is in use now goes stale, and what is acquired next must be another one.
      if (random.chance(0.1)) {
        const [target, end, access] = random.pick([
          [from, 0, fromAccess] as const,
          [to, 1, toAccess] as const,
        ]);
        held.push(await this.#acquire(end, target.range, access, target.buffer));
        target.change?.();
      }
      const length = Math.min(from.range.length, to.range.length);
      const [source, target] = [from, to].map(({ range }) => ({ address: range.address, length }));
      const prepare = (): void => {
        this.#prepare(source, target);
      };
      // Written before the acquire, or through the mapping that is registered already.
      const early = random.chance(0.5);
      if (early) prepare();
      const sending = await this.#acquire(0, source, fromAccess, from.buffer);
      held.push(sending);
      const receiving = await this.#acquire(1, target, toAccess, to.buffer);
      held.push(receiving);
      if (!early) prepare();
      if (way === 'send')
        await this.ends.send({ ...source, key: sending.lkey }, { ...target, key: receiving.lkey });
      else if (way === 'write')
        await this.ends.write({ ...source, key: sending.lkey }, { ...target, key: receiving.rkey });
      else await this.ends.read({ ...source, key: sending.rkey }, { ...target, key: receiving.lkey });
      this.#compare(target, `${way} from ${from.name} to ${to.name}`);
    } catch (error) {
      this.#refused(error, ALWAYS);
    } finally {
      for (const registration of held) registration.release();
    }
  }

  /** Sent is what was written just now, or what is there: zeros where there are new pages. */
  #prepare(source: Range, target: Range): void {
    const sent = this.#sent.subarray(0, source.length);
    if (this.#random.chance(0.3)) readMemory(source.address, sent);
    else writeMemory(source.address, this.#content.fill(sent));
    writeMemory(target.address, this.#content.fill(this.#poison.subarray(0, target.length)));
  }

  #compare({ address, length }: Range, what: string): void {
    const [sent, poison] = [this.#sent, this.#poison].map((bytes) => bytes.subarray(0, length));
    const arrived = readMemory(address, this.#arrived.subarray(0, length));
    this.#seen.transfers++;
    Atomics.add(this.#words, TRANSFERS, 1);
    if (arrived.equals(sent)) return;
    const at = arrived.findIndex((byte, n) => byte !== sent[n]);
    // Untouched: it went to pages that nobody sees any more. Otherwise it came from such pages.
    const end = arrived[at] === poison[at] ? 'receiver' : 'sender';
    this.#seen.stale[end]++;
    Atomics.add(this.#words, STALE, 1);
    this.#fail(`stale at the ${end}: ${what}, byte ${at} of ${length}`);
  }

  #fail(what: string): void {
    if (this.#seen.failures.length < FAILURES_KEPT) this.#seen.failures.push(`${this.#setup.name}: ${what}`);
  }

  /** @param end 0 sends, 1 receives */
  async #acquire(end: 0 | 1, range: Range, access: number, buffer?: Buffer): Promise<Registration> {
    const cache = this.ends.caches[end];
    const registration = await this.#acquireSomehow(cache, range, access, buffer);
    this.#witnessed[end].acquired++;
    return registration;
  }

  #acquireSomehow(
    cache: RegistrationCache,
    range: Range,
    access: number,
    buffer: Buffer | undefined,
  ): Registration | Promise<Registration> {
    const way = this.#random.below(40);
    if (way === 0) return cache.acquireUncached(range, access);
    if (way === 1) return cache.pin(range, access);
    if (way < 12) return cache.acquireAsync(range, access);
    if (buffer !== undefined) return cache.acquire(buffer, access);
    return cache.acquireRange(range.address, range.length, access);
  }

  /** A place that nobody else uses, until it is unlocked. */
  #lockOne(): Target | undefined {
    const places = this.#places;
    const n = this.#random.below(Places.count);
    if (!places.tryLock(n)) return undefined;
    const { range, offset } = this.#partOf(n);
    const target: Target = {
      range,
      name: places.nameOf(n),
      change: () => {
        const { place } = changeSomehow(places.kindOf(n), places.get(n), this.#random);
        places.set(n, place);
        target.range = { ...target.range, address: place.address + offset };
      },
      unlock: () => {
        places.unlock(n);
      },
    };
    return target;
  }

  /** Any bytes of a place, more often few than many: a large message takes as long as many small ones. */
  #partOf(n: number): { range: Range; offset: number } {
    const { address, length: room } = this.#places.get(n);
    const offset = this.#random.below(room);
    const most = this.#random.chance(0.8) ? SMALL_MESSAGE : MAX_MESSAGE;
    const length = 1 + this.#random.below(Math.min(room - offset, most));
    return { range: { address: address + offset, length }, offset };
  }

  /** Of malloc's, some in mappings of their own; the collector frees them, and others come to lie there. */
  #aBuffer(): Target {
    const random = this.#random;
    const n = random.below(BUFFERS);
    if (this.#buffers.length <= n || random.chance(0.3))
      this.#buffers[Math.min(n, this.#buffers.length)] = Buffer.allocUnsafeSlow(
        1 + random.below(3 * 2 ** 17),
      );
    const whole = this.#buffers[Math.min(n, this.#buffers.length - 1)];
    const buffer = whole.subarray(0, random.chance(0.8) ? SMALL_MESSAGE : MAX_MESSAGE);
    return {
      range: { address: addressOf(buffer), length: buffer.length },
      name: 'a Buffer',
      buffer,
      unlock: () => undefined,
    };
  }

  /** While nothing is in use. */
  async #check(): Promise<void> {
    await this.#drained();
    this.#seen.checks++;
    for (const what of this.#witnessed.flatMap((witnessed) => witnessed.contradictions())) {
      if (this.#seen.contradictions.length < FAILURES_KEPT)
        this.#seen.contradictions.push(`${this.#setup.name}: ${what}`);
    }
  }

  /** Until nothing is on its way out any more, and all events of the caches have been told. */
  async #drained(): Promise<void> {
    for (let tries = 0; tries < DRAINS; tries++) {
      await new Promise((resolve) => setTimeout(resolve, tries));
      for (const cache of this.ends.caches) cache.drain();
      // Not a turn of the event loop, in which another thread's change would be drained.
      await Promise.resolve();
      if (this.ends.caches.every((cache) => cache.registrations().every(({ retired }) => !retired))) return;
    }
  }
}
