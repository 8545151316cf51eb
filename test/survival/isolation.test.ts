import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { COMPILER, compileClient, runTap } from '../client/c-client.js';
import { needs } from '../needs.js';
import { requireStack } from '../system/stack.js';

describe('two users who do not trust each other', function () {
  this.timeout(1_200_000);
  requireStack();
  let folder = '';
  before(function () {
    needs(this, 'root');
    needs(this, `${COMPILER} + libc6-dev`, existsSync('/usr/include/stdio.h'));
    folder = mkdtempSync(join(tmpdir(), 'regcache-isolation-'));
  });
  after(() => {
    if (folder !== '') rmSync(folder, { recursive: true });
  });

  it('see nothing of each other, and leave each other a device and memory', () => {
    runTap(compileClient(folder, 'ummunotify_isolation'), []);
  });
});
