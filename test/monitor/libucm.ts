import { RegcacheError } from '../../src/errors.js';
import { MallocHooksMonitor } from '../../src/monitor/malloc-hooks.js';

/** Whether UCX's hooks are installed. */
export function hasLibucm(): boolean {
  try {
    new MallocHooksMonitor().close();
    return true;
  } catch (error) {
    if (error instanceof RegcacheError && error.code === 'ERR_NO_MONITOR') return false;
    throw error;
  }
}
