import { readFileSync, writeFileSync } from 'node:fs';
import { findTool, runTool } from './tool.js';

const XZ = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]);

/**
 * Unpacks an xz-compressed kernel image once, on the host: the emulated processor needs 3 s for it at every boot.
 * Offsets: Linux Documentation/arch/x86/boot.rst, the real-mode kernel header. Images compressed otherwise (zstd)
 * unpack themselves quickly and stay as they are.
 * @returns whether `unpacked` was written
 */
export async function unpackBootImage(image: string, unpacked: string): Promise<boolean> {
  const content = readFileSync(image);
  const setupSectors = content.readUInt8(0x1f1);
  const start = (setupSectors + 1) * 512 + content.readUInt32LE(0x248);
  // The last four bytes are the unpacked size and no part of the xz stream.
  const payload = content.subarray(start, start + content.readUInt32LE(0x24c) - 4);
  if (!payload.subarray(0, XZ.length).equals(XZ)) return false;
  const packed = `${unpacked}.xz`;
  writeFileSync(packed, payload);
  await runTool(findTool('xz'), ['-d', packed]);
  return true;
}
