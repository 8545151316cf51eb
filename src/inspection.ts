import { inspect } from 'node:util';
import { describeAccess } from './access.js';

/** What `util.inspect` calls with. Its type in @types/node has another name in version 26. */
export interface Stylizing {
  stylize(text: string, style: 'number' | 'special'): string;
}

/**
 * What `util.inspect`, and so `console.log`, shows of an object: these facts, and not what it is made of. Of an object that
 * only looks like one, as a proxy of it does, there are none.
 */
export function showFacts(
  name: string,
  factsOf: () => Readonly<Record<string, unknown>>,
  depth: number,
  options: Stylizing,
): string {
  try {
    if (!(depth < 0)) return `${name} ${inspect(factsOf(), { ...options, depth })}`;
  } catch {
    // By its name.
  }
  return `[${name}]`;
}

/** What there is to see of a registration. */
interface Registered {
  readonly address: number;
  readonly length: number;
  readonly lkey: number;
  readonly rkey: number;
  readonly access: number;
  readonly uses: number;
  readonly stale: boolean;
}

export function factsOf({
  address,
  length,
  lkey,
  rkey,
  access,
  uses,
  stale,
}: Registered): Record<string, unknown> {
  return {
    ...{ address: hex(address), length, lkey: hex(lkey), rkey: hex(rkey) },
    ...{ access: as(describeAccess(access), 'special'), uses, stale },
  };
}

const hex = (value: number): object => as(`0x${value.toString(16)}`, 'number');

/** Shown as this text, without quotes. */
const as = (text: string, style: 'number' | 'special'): object => ({
  [inspect.custom]: (_: number, options: Stylizing) => options.stylize(text, style),
});
