import assert from 'node:assert/strict';
import { PinningRegistrar } from '../../bench/pinning-registrar.js';
import { RegcacheError } from '../../src/errors.js';
import { map, PAGE_SIZE, unmap } from '../../src/system/mapping.js';
import { pinningLimit } from '../../src/verbs/registration-error.js';
import { needs } from '../needs.js';

const pinned = (): number => pinningLimit().pinned;
const LENGTH = 4 * PAGE_SIZE;

describe('bench: the registrar that stands in for a device', () => {
  let registrar: PinningRegistrar;
  let memory: number;

  before(function () {
    try {
      registrar = new PinningRegistrar();
    } catch (error) {
      if (!(error instanceof RegcacheError)) throw error;
      // ENOSYS and EPERM: there is no io_uring, or not for everybody. EINVAL: Linux before 5.19.
      needs(this, `io_uring (${error.code})`, false);
    }
  });

  beforeEach(() => {
    memory = map(LENGTH);
  });

  afterEach(() => {
    unmap(memory, LENGTH);
  });

  after(() => {
    // There is none where all was skipped.
    (registrar as PinningRegistrar | undefined)?.close();
  });

  it('pins what is registered until it is deregistered', () => {
    const before = pinned();
    const first = registrar.register(memory, LENGTH);
    const second = registrar.register(memory, PAGE_SIZE);
    assert.notEqual(registrar.lkey(first), registrar.lkey(second));
    assert.equal(pinned() - before, LENGTH + PAGE_SIZE);
    registrar.deregister(first);
    assert.equal(pinned() - before, PAGE_SIZE);
    registrar.deregister(second);
    assert.equal(pinned(), before);
  });

  it('has room again for what it has deregistered, and for what it could not register', () => {
    for (let i = 0; i < 20_000; i++) registrar.deregister(registrar.register(memory, PAGE_SIZE));
    unmap(memory, PAGE_SIZE);
    for (let i = 0; i < 20_000; i++) {
      assert.throws(() => registrar.register(memory, PAGE_SIZE), { code: 'EFAULT' });
    }
    map(PAGE_SIZE, { at: memory });
    registrar.deregister(registrar.register(memory, PAGE_SIZE));
  });
});
