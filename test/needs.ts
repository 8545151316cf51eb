import { existsSync, readdirSync } from 'node:fs';

/** What some tests need of the machine and some machines do not have, with how to tell. */
const CAPABILITIES = {
  'rdma-device': () => hasEntries('/sys/class/infiniband'),
  ummunotify: () => existsSync('/dev/ummunotify'),
  root: () => process.getuid?.() === 0,
} as const;

export type Capability = keyof typeof CAPABILITIES;

/**
 * Skips the test, or in a `before` hook all tests of its suite, unless the machine has a capability; the run names it
 * at its end.
 * @param context `this` of the test or hook
 */
export function needs(context: Mocha.Context, capability: Capability): void;
/** The same for a capability that only the caller can tell. */
export function needs(context: Mocha.Context, capability: string, present: boolean): void;
export function needs(context: Mocha.Context, capability: string, present?: boolean): void {
  if (present ?? CAPABILITIES[capability as Capability]()) return;
  const runnable = context.test as Mocha.Hook | Mocha.Test;
  const subject = runnable.type === 'hook' ? runnable.parent : runnable;
  if (subject) missing.set(subject, capability);
  context.skip();
}

const missing = new WeakMap<object, string>();

/** The capability for whose lack a test was skipped. */
export function missingCapability(test: Mocha.Test): string | undefined {
  for (let subject: Mocha.Test | Mocha.Suite | undefined = test; subject; subject = subject.parent) {
    const capability = missing.get(subject);
    if (capability !== undefined) return capability;
  }
  return undefined;
}

function hasEntries(folder: string): boolean {
  return existsSync(folder) && readdirSync(folder).length > 0;
}
