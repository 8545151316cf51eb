import { RegcacheError, regcacheError, shown } from './errors.js';

/**
 * What somebody passed as an object of options, each read once, so that what was checked is what is used. Those that
 * are undefined are left out.
 * @param known the names that there are
 * @throws ERR_INVALID_OPTION for what is no object, has another name, or cannot be read
 */
export function takeOptions<T extends object>(options: T, known: readonly string[]): T {
  const other = reading(() => namesOf(options)).find((name) => !known.includes(name));
  if (other !== undefined)
    refuseOption(other, `is unknown; there ${known.length === 1 ? 'is' : 'are'} ${known.join(', ')}`);
  return takeFields(options, known);
}

/** The same of an object that may have other names as well. */
export function takeFields<T extends object>(options: T, names: readonly string[]): T {
  requireObject(options);
  const values = reading(() =>
    names.map((name) => [name, (options as Record<string, unknown>)[name]] as const),
  );
  return Object.fromEntries(values.filter(([, value]) => value !== undefined)) as T;
}

/** @throws ERR_INVALID_OPTION unless it is a whole number from `least` to `most` */
export function checkWhole(name: string, value: unknown, least: number, most: number): void {
  if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) return;
  refuseOption(name, `is a whole number from ${least} to ${most}, not ${shown(value)}`);
}

/** @throws ERR_INVALID_OPTION */
export function checkBoolean(name: string, value: unknown): void {
  if (typeof value !== 'boolean') refuseOption(name, `is true or false, not ${shown(value)}`);
}

/** @throws ERR_INVALID_OPTION unless it can be called */
export function checkFunction(name: string, value: unknown): void {
  if (typeof value !== 'function') refuseOption(name, `is a function, not ${shown(value)}`);
}

/** @throws ERR_INVALID_OPTION unless it is left out or a signal, and not only looks like one */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  try {
    aborted.get!.call(signal);
  } catch {
    refuseOption('signal', `is an AbortSignal, not ${shown(signal)}`);
  }
}

export function refuseOption(name: string, why: string): never {
  throw regcacheError('ERR_INVALID_OPTION', `option ${name} ${why}`);
}

// Node's own getter refuses everything else.
const aborted = Object.getOwnPropertyDescriptor(AbortSignal.prototype, 'aborted')!;

function namesOf(options: object): string[] {
  requireObject(options);
  return Object.keys(options);
}

function requireObject(options: unknown): void {
  if (typeof options === 'object' && options !== null && !Array.isArray(options)) return;
  throw regcacheError('ERR_INVALID_OPTION', `options are an object, not ${shown(options)}`);
}

/** A getter or a proxy may throw anything. */
function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof RegcacheError) throw cause;
    throw regcacheError('ERR_INVALID_OPTION', 'the options cannot be read', { cause });
  }
}
