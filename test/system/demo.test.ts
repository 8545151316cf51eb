import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Report } from '../../examples/stale-registration/report.js';
import { pagesStay } from './pages-stay.js';
import { requireStack } from './stack.js';

const main = fileURLToPath(new URL('../../examples/stale-registration/main.js', import.meta.url));

describe('example: stale-registration', () => {
  requireStack();
  pagesStay();

  it('shows stale bytes where registrations are kept, and none where the cache is asked', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [main, '--json']);
    const report = JSON.parse(stdout) as Report;
    assert.deepEqual(
      report.rows.map(({ change, strategy, arrived, verdict }) => [change, strategy, arrived, verdict]),
      ['munmap + mmap, by libc', 'munmap + mmap, by raw system calls'].flatMap((change) => [
        [change, 'kept for ever', 'old content', 'STALE'],
        [change, 'rdma-regcache', 'new content', 'fresh'],
      ]),
    );
    const { hits, misses, evictions } = report.cache;
    // Each way of remapping: ten sends and one after the change, of which the first and the last register.
    assert.deepEqual({ hits, misses }, { hits: 18, misses: 4 });
    assert.ok(evictions >= 3, `${evictions} evictions`);
    assert.ok(report.cache.microsecondsSaved > 0);
  });

  it('prints a table for people', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [main]);
    assert.match(stdout, /the buffer was +registration +sent again +arrived +verdict/);
    assert.match(stdout, /raw system calls +rdma-regcache +new content +new content +fresh/);
    assert.match(stdout, /18 hits, 4 misses/);
  });
});
