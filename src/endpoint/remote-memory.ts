import { regcacheError } from '../errors.js';
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
  const { address, length, rkey } = takeFields(remote, ['address', 'length', 'rkey']);
  checkWhole('address of the remote memory', address, 0, Number.MAX_SAFE_INTEGER);
  checkWhole('length of the remote memory', length, 1, Number.MAX_SAFE_INTEGER);
  checkWhole('rkey of the remote memory', rkey, 0, 0xffff_ffff);
  return { address, length, rkey };
}

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
