import type { RegistrationCache } from '../cache/cache.js';
import { regcacheError, type RegcacheError } from '../errors.js';
import { locate } from '../memory/locate.js';
import type { Tickets } from './tickets.js';
import { type Task, Work } from './work.js';

/** Bytes from which on the cache is asked in the way that need not hold up the event loop; it decides itself. */
const ASYNC_FROM = 2 ** 20;

/** Works that are posted with one call. */
interface Group<List> {
  readonly works: readonly Work<List>[];
  /** The caller gave up, or something failed: not to be posted. */
  dropped: boolean;
}

interface Queue<List> {
  readonly cache: RegistrationCache;
  readonly tickets: Tickets;
  /** Requests that the device takes at once. */
  readonly depth: number;
  readonly list: List;
  /** Whether an abort gives up what is posted, too. */
  readonly abortsPosted: boolean;
  /** Post what is in the list. */
  post(): void;
  /** Posting failed: the connection is of no use any more. */
  broken(error: RegcacheError): void;
}

/**
 * One direction of an endpoint: work requests in the order of the calls, at most so many posted at once. Memory is
 * registered when its turn comes, and released when the device has let go of it.
 */
export class WorkQueue<List extends { clear(): unknown }> {
  readonly #queue: Queue<List>;
  #waiting: Group<List>[] = [];
  #posted = 0;
  /** The first of those that wait is being registered. */
  #preparing = false;
  #ended: RegcacheError | undefined;
  #abandoned = false;
  /** Who waits until it is idle. */
  readonly #idle: (() => void)[] = [];

  constructor(queue: Queue<List>) {
    this.#queue = queue;
  }

  /** Works that were not posted yet, and those that were and are not done. */
  get size(): number {
    return this.#posted + this.#waiting.reduce((sum, { works }) => sum + works.length, 0);
  }

  /**
   * Take works in, to be posted together.
   * @param signal gives them up: those that are posted are done all the same, but nobody waits for them
   */
  submit<T>(tasks: readonly Task<List, T>[], signal: AbortSignal | undefined): Promise<T>[] {
    const { depth } = this.#queue;
    if (tasks.length > depth)
      throw regcacheError('ERR_INVALID_OPTION', `a batch has at most ${depth} requests here`);
    const works = tasks.map((task) => new Work(task));
    const group: Group<List> = { works: works as Work<List>[], dropped: false };
    if (this.#ended !== undefined) this.#drop(group, this.#ended);
    else if (signal?.aborted === true) this.#drop(group, signal.reason);
    else {
      if (signal !== undefined) this.#heed(signal, group);
      this.#waiting.push(group);
      this.#advance();
    }
    return works.map(({ promise }) => promise);
  }

  /** Nothing is posted any more; what waits fails. */
  end(error: RegcacheError): void {
    this.#ended = error;
    for (const group of this.#waiting.splice(0)) this.#drop(group, error);
    this.#tellIdle();
  }

  /** What is posted may never be done. */
  abandon(): void {
    this.#abandoned = true;
    this.#tellIdle();
  }

  /** Settles when nothing waits, is being registered or is posted, or that is not to be hoped for. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#idle.push(resolve);
      this.#tellIdle();
    });
  }

  #tellIdle(): void {
    // What was given up while another thread registers it is nobody's before that is over.
    const isIdle = this.size === 0 && !this.#preparing;
    if (isIdle || this.#abandoned) for (const resolve of this.#idle.splice(0)) resolve();
  }

  #heed(signal: AbortSignal, group: Group<List>): void {
    const abort = (): void => {
      if (this.#waiting.includes(group)) {
        this.#waiting = this.#waiting.filter((other) => other !== group);
        this.#drop(group, signal.reason);
        this.#advance();
      } else if (this.#queue.abortsPosted) for (const work of group.works) work.giveUp(signal.reason);
    };
    signal.addEventListener('abort', abort, { once: true });
    void Promise.allSettled(group.works.map(({ promise }) => promise)).then(() => {
      signal.removeEventListener('abort', abort);
    });
  }

  #drop(group: Group<List>, reason: unknown): void {
    group.dropped = true;
    for (const work of group.works) {
      work.giveUp(reason);
      work.letGo();
    }
  }

  /** Post what there is room for. */
  #advance(): void {
    while (!this.#preparing && this.#ended === undefined) {
      const group = this.#waiting.at(0);
      if (group === undefined || this.#posted + group.works.length > this.#queue.depth) break;
      if (group.works.some((work) => isLarge(work))) {
        this.#preparing = true;
        void this.#prepare(group).then(() => {
          this.#preparing = false;
          this.#advance();
        });
        return;
      }
      this.#waiting.shift();
      this.#post(group);
    }
    this.#tellIdle();
  }

  async #prepare(group: Group<List>): Promise<void> {
    try {
      for (const work of group.works) {
        if (group.dropped) return;
        if (!isLarge(work)) continue;
        const { memory, access } = work.task;
        const registration = await this.#queue.cache.acquireAsync(memory!, access);
        if (group.dropped as boolean) registration.release();
        else work.registration = registration;
      }
    } catch (error) {
      this.#waiting = this.#waiting.filter((other) => other !== group);
      if (!group.dropped) this.#drop(group, error);
    }
  }

  #post(group: Group<List>): void {
    const { cache, list, tickets } = this.#queue;
    list.clear();
    const ids: number[] = [];
    try {
      for (const work of group.works) {
        const { memory, access } = work.task;
        if (memory !== undefined) work.registration ??= cache.acquire(memory, access);
        const id = tickets.issue(work);
        ids.push(id);
        work.task.write(list, id, work.segment());
      }
    } catch (error) {
      for (const id of ids) tickets.withdraw(id);
      this.#drop(group, error);
      return;
    }
    this.#posted += group.works.length;
    for (const work of group.works)
      work.posted(() => {
        this.#posted--;
        this.#advance();
      });
    try {
      this.#queue.post();
    } catch (error) {
      // Some of them may have been posted: they end with the queue pair.
      this.#queue.broken(error as RegcacheError);
    }
  }
}

/** Whether it is to be registered before its turn ends, rather than on the spot. */
function isLarge(work: Work<never>): boolean {
  const { memory } = work.task;
  if (memory === undefined || work.registration !== undefined) return false;
  const here = { address: 0, length: 0 };
  try {
    locate(memory, here);
  } catch {
    // Refused where it is registered.
    return false;
  }
  return here.length >= ASYNC_FROM;
}
