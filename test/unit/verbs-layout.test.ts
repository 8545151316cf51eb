import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Access, OPTIONAL_ACCESS } from '../../src/access.js';
import { needs } from '../needs.js';
import { LAYOUT, VALUES } from '../../src/verbs/layout.js';
import { COMPLETION_STATUSES, opcodeName } from '../../src/verbs/work-completion.js';

const OPCODES = ['SEND', 'RDMA_WRITE', 'RDMA_READ', 'COMP_SWAP', 'FETCH_ADD', 'BIND_MW', 'LOCAL_INV', 'RECV'];

describe('the layout of verbs.h', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'verbs-layout-'));
  });
  after(() => {
    rmSync(folder, { recursive: true });
  });

  it('equals_what_a_c_compiler_says', function () {
    const lines: string[] = [];
    const expected: string[] = [];
    const check = (expression: string, value: number): void => {
      lines.push(`printf("%s %lld\\n", ${JSON.stringify(expression)}, (long long)(${expression}));`);
      expected.push(`${expression} ${value}`);
    };
    for (const [struct, fields] of Object.entries(LAYOUT)) {
      for (const [field, offset] of Object.entries(fields)) {
        const type = `struct ${struct}`;
        check(field === 'sizeof' ? `sizeof(${type})` : `offsetof(${type}, ${field})`, offset);
      }
    }
    for (const [name, value] of Object.entries(VALUES)) check(name, value);
    for (const [name, bit] of Object.entries(Access)) if (bit !== 0) check(`IBV_ACCESS_${name}`, bit);
    check('IBV_ACCESS_OPTIONAL_RANGE', OPTIONAL_ACCESS);
    COMPLETION_STATUSES.forEach((name, value) => {
      check(`IBV_WC_${name}`, value);
    });

    const source = path.join(folder, 'layout.c');
    const program = path.join(folder, 'layout');
    writeFileSync(
      source,
      `#include <stddef.h>\n#include <stdio.h>\n#include <infiniband/verbs.h>\n` +
        `int main(void) {\n${lines.join('\n')}\nreturn 0;\n}\n`,
    );
    const probe = spawnSync('cc', ['-E', '-x', 'c', '-'], {
      input: '#include <infiniband/verbs.h>',
      maxBuffer: 1 << 26,
    });
    needs(this, 'cc + libibverbs-dev', probe.status === 0);
    execFileSync('cc', ['-o', program, source]);
    const actual = execFileSync(program, { encoding: 'utf8' }).trimEnd().split('\n');
    assert.ok(actual.length > 150);
    assert.deepEqual(actual, expected);
  });

  it('names_every_opcode_that_this_package_posts', () => {
    const values = VALUES as Record<string, number>;
    for (const name of OPCODES) assert.equal(opcodeName(values[`IBV_WC_${name}`]), name);
    assert.equal(opcodeName(VALUES.IBV_WC_RECV_RDMA_WITH_IMM), 'RECV_RDMA_WITH_IMM');
    assert.equal(opcodeName(77), 'UNKNOWN');
  });

  it('computes_the_operation_table_from_indices', () => {
    // The order of the operations in struct ibv_context_ops, 8 bytes each.
    const { poll_cq, req_notify_cq, post_send, post_recv } = LAYOUT.ibv_context_ops;
    assert.deepEqual([poll_cq, req_notify_cq, post_send, post_recv], [11 * 8, 12 * 8, 25 * 8, 26 * 8]);
  });
});
