/** One file or folder of an archive. */
export interface CpioEntry {
  /** Path without a leading slash. */
  readonly path: string;
  /** File type and permission bits, as in `stat.st_mode`. */
  readonly mode: number;
  readonly content?: Buffer;
}

/** Mode of a folder anyone may read. */
export const FOLDER = 0o040755;
/** Mode of a program anyone may run. */
export const PROGRAM = 0o100755;
/** Mode of a file anyone may read. */
export const FILE = 0o100644;

/**
 * An archive in the "newc" format, as the kernel takes it for an initramfs
 * (Linux Documentation/driver-api/early-userspace/buffer-format.rst). Not compressed: the guest unpacks faster so.
 */
export function cpio(entries: readonly CpioEntry[]): Buffer {
  const parts: Buffer[] = [];
  const all: CpioEntry[] = [...entries, { path: 'TRAILER!!!', mode: 0 }];
  for (const [index, entry] of all.entries()) {
    const { path, mode, content = Buffer.alloc(0) } = entry;
    const name = Buffer.from(`${path}\0`);
    const links = 1;
    const fields = [index + 1, mode, 0, 0, links, 0, content.length, 0, 0, 0, 0, name.length, 0];
    const header = '070701' + fields.map((field) => field.toString(16).padStart(8, '0')).join('');
    parts.push(padded(Buffer.concat([Buffer.from(header), name])), padded(content));
  }
  return Buffer.concat(parts);
}

/** Header with name, and content, each end at a multiple of four bytes. */
function padded(part: Buffer): Buffer {
  return Buffer.concat([part, Buffer.alloc(-part.length & 3)]);
}
