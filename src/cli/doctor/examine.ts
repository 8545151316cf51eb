import { EXIT } from '../cli-error.js';
import { packageVersion } from '../package.js';
import type { Check, Finding, Found } from './finding.js';

/** What the doctor found, as `--json` prints it. */
export interface Report {
  readonly schema: 1;
  readonly version: string;
  readonly node: string;
  /** RDMA with safe caching will work: there is no problem. */
  readonly ok: boolean;
  readonly findings: readonly Found[];
}

type Loader = () => Promise<{ readonly check: Check }>;

/**
 * All that is looked at, in the order shown. Each is loaded by itself: what one needs and this machine does not have,
 * such as a library, is a finding and no end of the others.
 */
const CHECKS: readonly (readonly [id: string, load: Loader])[] = [
  ['kernel', () => import('./checks/kernel.js')],
  ['module', () => import('./checks/module.js')],
  ['device', () => import('./checks/device.js')],
  ['userfaultfd', () => import('./checks/userfaultfd.js')],
  ['malloc-hooks', () => import('./checks/malloc-hooks.js')],
  ['compiler', () => import('./checks/compiler.js')],
  ['libibverbs', () => import('./checks/libibverbs.js')],
  ['librdmacm', () => import('./checks/librdmacm.js')],
  ['rdma', () => import('./checks/rdma-devices.js')],
  ['memlock', () => import('./checks/memlock.js')],
  ['hugepages', () => import('./checks/hugepages.js')],
  ['iommu', () => import('./checks/iommu.js')],
  ['environment', () => import('./checks/environment.js')],
  ['monitor', () => import('./checks/monitor.js')],
  ['end-to-end', () => import('./checks/end-to-end.js')],
];

export async function examine(checks: readonly (readonly [string, Loader])[] = CHECKS): Promise<Report> {
  const findings: Found[] = [];
  for (const [id, load] of checks) {
    const found = await look(id, load);
    findings.push(...found.map((finding) => unlessSaid(finding, findings)));
  }
  return {
    schema: 1,
    version: packageVersion(),
    node: process.version,
    ok: findings.every(({ status }) => status !== 'problem'),
    findings,
  };
}

async function look(id: string, load: Loader): Promise<Found[]> {
  try {
    const { check } = await load();
    return [await check()].flat().map((finding) => ({ id, ...finding }));
  } catch (error) {
    return [{ id, ...failure(error) }];
  }
}

/** One cause, such as a wrong variable, is one problem, however many checks it is in the way of. */
function unlessSaid(finding: Found, before: readonly Found[]): Found {
  const { id, status, text } = finding;
  const first = before.find((other) => other.status === 'problem' && other.text === text && other.id !== id);
  if (status !== 'problem' || first === undefined) return finding;
  return { id, status: 'warning', text: `could not be looked into: see ${first.id}` };
}

/** An error of ours has its advice apart. */
function failure(error: unknown): Finding {
  const { reason, message, advice, code } = error as Record<string, string | undefined>;
  const facts = code === undefined ? {} : { facts: { code } };
  return { status: 'problem', text: reason ?? message ?? String(error), mend: advice, ...facts };
}

export const exitStatus = ({ ok }: Report): number => (ok ? EXIT.OK : EXIT.FAILED);
