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

/** What `JSON.stringify` makes of an object: the same facts, or none of what only looks like one. */
export function jsonOf(factsOf: () => Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  try {
    return factsOf();
  } catch {
    return {};
  }
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

/** In numbers, as a program wants them. */
export function factsOf({
  address,
  length,
  lkey,
  rkey,
  access,
  uses,
  stale,
}: Registered): Readonly<Record<string, unknown>> {
  return { address, length, lkey, rkey, access, uses, stale };
}

/** As people read them. */
export function readableFactsOf(registered: Registered): Readonly<Record<string, unknown>> {
  const { address, lkey, rkey, access } = registered;
  return {
    ...factsOf(registered),
    ...{ address: hex(address), lkey: hex(lkey), rkey: hex(rkey) },
    access: as(describeAccess(access), 'special'),
  };
}

const hex = (value: number): object => as(`0x${value.toString(16)}`, 'number');

/** Shown as this text, without quotes. */
const as = (text: string, style: 'number' | 'special'): object => ({
  [inspect.custom]: (_: number, options: Stylizing) => options.stylize(text, style),
});
