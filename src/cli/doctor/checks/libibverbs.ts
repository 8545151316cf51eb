import { libibverbs } from '../../../verbs/library.js';
import type { Finding } from '../finding.js';
import { describeLoaded } from '../rdma-core.js';

export function check(): Finding {
  // Throws, with the packages to install.
  libibverbs();
  return describeLoaded('libibverbs');
}
