import { type RegcacheError, regcacheError, shown } from '../errors.js';
import { checkWhole, takeFields } from '../options.js';

/** Memory that the peer exposed, as its `expose` says and JSON carries it. */
export interface RemoteMemory {
  /** First byte, in the peer's address space. */
  readonly address: number;
  /** Bytes. */
  readonly length: number;
  readonly rkey: number;
}

/** Read once, at the call: what it says when a request is posted does not count. @throws ERR_INVALID_OPTION */
export function takeRemote(remote: RemoteMemory): RemoteMemory {
  if (typeof remote !== 'object' || (remote as object | null) === null)
    throw noRemote(`it is not ${shown(remote)}`);
  const taken = takeFields(remote, Object.keys(BOUNDS));
  for (const [name, [least, most]] of Object.entries(BOUNDS)) {
    const value: unknown = taken[name as keyof RemoteMemory];
    if (value === undefined) throw noRemote(`it has no ${name}`);
    if (!Number.isInteger(value) || (value as number) < least || (value as number) > most)
      throw noRemote(`its ${name} is ${shown(value)}`);
  }
  return taken;
}

/** The least and the most that each part of it may be. */
const BOUNDS: Record<keyof RemoteMemory, readonly [least: number, most: number]> = {
  address: [0, Number.MAX_SAFE_INTEGER],
  length: [1, Number.MAX_SAFE_INTEGER],
  rkey: [0, 0xffff_ffff],
};

const noRemote = (why: string): RegcacheError =>
  regcacheError('ERR_INVALID_OPTION', `no remote memory: ${why}`, {
    advice:
      "it is { address, length, rkey }, what the peer's endpoint.expose(memory) gave, and the peer sent here",
  });

/**
 * Where in it an operation of so many bytes goes.
 * @param offset bytes from its start
 * @throws ERR_INVALID_OPTION, ERR_INVALID_LENGTH for what goes past its end
 */
export function placeIn(
  { address, length, rkey }: RemoteMemory,
  offset: number,
  bytes: number,
): { address: number; rkey: number } {
  checkWhole('offset', offset, 0, length);
  if (offset + bytes > length) {
    throw regcacheError(
      'ERR_INVALID_LENGTH',
      `${bytes} bytes from offset ${offset} on go past the end of the remote memory, which has ${length}`,
    );
  }
  return { address: address + offset, rkey };
}
