import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readText } from '../../kernel-files.js';
import type { Finding } from '../finding.js';

const GROUPS = '/sys/kernel/iommu_groups';

export function check(): Finding {
  const groups = existsSync(GROUPS) ? readdirSync(GROUPS) : [];
  const translating = groups.filter((group) => !isIdentity(group)).length;
  const parameters = (readText('/proc/cmdline') ?? '').split(' ').filter((word) => word.includes('iommu'));
  const facts = { groups: groups.length, translating, parameters };
  const asked = parameters.length === 0 ? '' : ` (${parameters.join(' ')})`;
  if (groups.length === 0) return { status: 'ok', text: `off${asked}`, facts };
  if (translating === 0) return { status: 'ok', text: `on, passing all through${asked}`, facts };
  return {
    status: 'ok',
    text: `on, translating for ${translating} of ${groups.length} groups${asked}: registering takes longer`,
    facts,
  };
}

const isIdentity = (group: string): boolean => readText(join(GROUPS, group, 'type')) === 'identity';
