import { readText } from '../../kernel-files.js';
import type { Finding } from '../finding.js';

export function check(): Finding {
  const memory = readText('/proc/meminfo') ?? '';
  const number = (name: string): number =>
    Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(memory)?.[1] ?? 0);
  // The setting in force stands in brackets.
  const modes = readText('/sys/kernel/mm/transparent_hugepage/enabled');
  const transparent = /\[(\w+)\]/.exec(modes ?? '')?.[1] ?? 'absent';
  const facts = {
    total: number('HugePages_Total'),
    free: number('HugePages_Free'),
    kilobytes: number('Hugepagesize'),
    transparent,
  };
  const reserved = facts.total === 0 ? 'none reserved' : `${facts.free} of ${facts.total} reserved free`;
  return {
    status: 'ok',
    text: `${reserved} (of ${facts.kilobytes} KiB); transparent ones: ${transparent}`,
    facts,
  };
}
