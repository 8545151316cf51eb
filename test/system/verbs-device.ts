import type { Registration } from '../../src/cache/registration.js';
import { IbverbsRegistrar } from '../../src/verbs/registrar.js';
import { SendRequests } from '../../src/verbs/work-request.js';
import type { Device } from '../monitor/cache-on-top.js';
import { completions, connectedPair } from './verbs-fixture.js';

const LENGTH = 64 * 1024;

type Pair = ReturnType<typeof connectedPair>;

/** A real device, which writes what it finds to another side. */
export class VerbsDevice
  extends IbverbsRegistrar
  implements Device<ReturnType<IbverbsRegistrar['register']>>
{
  readonly #pair: Pair;
  readonly #target: ReturnType<Pair['b']['memory']>;

  constructor(pair = connectedPair()) {
    super(pair.a.pd);
    this.#pair = pair;
    this.#target = pair.b.memory(LENGTH);
  }

  async read({ lkey }: Registration, address: number, length: number): Promise<Buffer> {
    const { a } = this.#pair;
    const { address: to, region, bytes } = this.#target;
    a.qp.postSend(new SendRequests().write(1, address, length, lkey, to, region.rkey));
    await completions(a.cq, 1);
    return bytes.subarray(0, length);
  }

  close(): void {
    this.#pair[Symbol.dispose]();
  }
}
