// Opens the hooks where the heap cannot grow, and says by a line of JSON how that ended and by how much the heap shrank.
import { sbrk } from '../../bench/system-calls.js';
import type { RegcacheError } from '../../src/errors.js';
import { MallocHooksMonitor } from '../../src/monitor/malloc-hooks.js';
import { map, PAGE_SIZE } from '../../src/system/mapping.js';

const behind = Math.ceil(sbrk(0) / PAGE_SIZE) * PAGE_SIZE;
try {
  map(PAGE_SIZE, { at: behind });
} catch {
  // Something is there already.
}
const end = sbrk(0);
let code: string | null = null;
try {
  new MallocHooksMonitor();
} catch (error) {
  code = (error as RegcacheError).code;
}
console.log(JSON.stringify({ code, shrunk: end - sbrk(0) }));
