import { readdirSync, readFileSync } from 'node:fs';
import { PAGE_SIZE } from '../../src/system/libc.js';
import { heldOf } from '../system/held.js';

/** Pages of this process that a userfaultfd watches for write protection ("uw"; proc(5)). */
export function watchedPages(): number {
  const blocks = readFileSync('/proc/self/smaps', 'latin1').split(/^(?=[\da-f]+-[\da-f]+ )/m);
  return blocks
    .filter((block) => /^VmFlags:.* uw/m.test(block))
    .map((block) => /^([\da-f]+)-([\da-f]+)/.exec(block)!)
    .reduce((sum, [, start, end]) => sum + (parseInt(end, 16) - parseInt(start, 16)) / PAGE_SIZE, 0);
}

const PF_EXITING = 4;

/** Ids of the threads that read events. Who has joined one may find it there still, on its way out: that is none. */
export function readers(): string[] {
  return readdirSync('/proc/self/task').filter((id) => {
    try {
      const stat = readFileSync(`/proc/self/task/${id}/stat`, 'latin1');
      const [, name, flags] = /^\d+ \((.*)\) \S(?: -?\d+){5} (\d+)/s.exec(stat)!;
      return name === 'regcache-uffd' && (Number(flags) & PF_EXITING) === 0;
    } catch {
      // It has ended.
      return false;
    }
  });
}

/** What the monitors of this process hold. */
export const held = () => ({
  threads: readers().length,
  memory: heldOf('anon_inode:[userfaultfd]'),
  counters: heldOf('/memfd:regcache-counter'),
  pages: watchedPages(),
});
