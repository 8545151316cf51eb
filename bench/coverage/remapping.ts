/** Ways to map, unmap and move memory. */
import { RegcacheError, systemError } from '../../src/errors.js';
import {
  E,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_FIXED_NOREPLACE,
  MAP_PRIVATE,
  PAGE_SIZE,
  PROT_READ,
  PROT_WRITE,
} from '../../src/system/libc.js';
import { map, unmap } from '../../src/system/mapping.js';
import {
  byLibc,
  type Caller,
  type Calls,
  free,
  malloc,
  removeSegment,
  sbrk,
  shmget,
} from '../system-calls.js';
import { ALLOCATED, type Place } from './kinds-of-memory.js';
import { MREMAP_MAYMOVE, MREMAP_FIXED, MREMAP_DONTUNMAP, SHM_REMAP } from '../mapping-flags.js';

const MAPPING = [PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS] as const;

/** A change by calls of a kind, made by whoever makes the calls. */
export type Remap = (place: Place, call: Caller) => void;

/** Map where nothing is mapped: with it a call that did not do its work is noticed. */
function mapAgain({ address, length }: Place, call: Caller): void {
  const [prot, flags] = MAPPING;
  const at = call('mmap', address, length, prot, flags | MAP_FIXED_NOREPLACE, -1, 0);
  if (at !== address) throw systemError(E.EEXIST, 'mmap');
}

export const munmapAndMap: Remap = (place, call) => {
  call('munmap', place.address, place.length);
  mapAgain(place, call);
};

export const mapOver: Remap = ({ address, length }, call) => {
  const [prot, flags] = MAPPING;
  call('mmap', address, length, prot, flags | MAP_FIXED, -1, 0);
};

export const mremapAway: Remap = (place, call) => {
  const { address, length } = place;
  const target = map(length);
  const at = call('mremap', address, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, target);
  mapAgain(place, call);
  unmap(at, length);
};

export const mremapOnto: Remap = ({ address, length }, call) => {
  const source = map(length);
  const at = call('mremap', source, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, address);
  if (at !== address) throw systemError(E.EFAULT, 'mremap');
};

export const mremapLarger: Remap = (place, call) => {
  const { address, length } = place;
  // Something has to be in its way.
  const mapped = mapIfFree(address + length);
  const at = call('mremap', address, length, length + PAGE_SIZE, MREMAP_MAYMOVE, 0);
  if (at === address) throw systemError(E.EEXIST, 'mremap');
  mapAgain(place, call);
  unmap(at, length + PAGE_SIZE);
  if (mapped) unmap(address + length, PAGE_SIZE);
};

/** Whether nothing was mapped there. */
function mapIfFree(address: number): boolean {
  try {
    map(PAGE_SIZE, { at: address });
    return true;
  } catch (error) {
    if (!(error instanceof RegcacheError)) throw error;
    return false;
  }
}

export const mremapSmaller: Remap = ({ address, length }, call) => {
  call('mremap', address, length, PAGE_SIZE, 0, 0);
  mapAgain({ address: address + PAGE_SIZE, length: length - PAGE_SIZE, file: -1 }, call);
};

export const mremapLeaving: Remap = ({ address, length }, call) => {
  unmap(call('mremap', address, length, length, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0), length);
};

export const detach: Remap = (place, call) => {
  call('shmdt', place.address);
  // The same segment would be the same pages.
  mapAgain(place, call);
};

export const attachOver: Remap = ({ address, length }, call) => {
  const segment = shmget(length);
  try {
    call('shmat', segment, address, SHM_REMAP);
  } finally {
    removeSegment(segment);
  }
};

/** The heap's end goes down and up again, if it still is where it was. */
export const brkDownAndUp: Remap = ({ address, length }, call) => {
  const isAt = (end: number): boolean => sbrk(0) === end;
  if (!isAt(address + length)) throw systemError(E.EBUSY, 'brk');
  call('brk', address);
  // The raw call has gone past libc's own idea of the end.
  byLibc('brk', address + length);
  if (!isAt(address + length)) throw systemError(E.ENOMEM, 'brk');
};

export function freeAndMalloc({ address }: Place): void {
  free(address);
  if (malloc(ALLOCATED) !== address) throw systemError(E.EBUSY, 'malloc');
}

/** The first page of a file's mapping shows the third one. */
export function remapFilePages({ address }: Place, { raw }: Calls): void {
  raw('remap_file_pages', address, PAGE_SIZE, 0, 2, 0);
}
