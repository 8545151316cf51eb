import assert from 'node:assert/strict';
import { Access, OPTIONAL_ACCESS } from '../../src/access.js';
import { LAYOUT, VALUES } from '../../src/verbs/layout.js';
import { COMPLETION_STATUSES, opcodeName } from '../../src/verbs/work-completion.js';
import { expressionsOf, valuesInC } from './c-layout.js';

const OPCODES = ['SEND', 'RDMA_WRITE', 'RDMA_READ', 'COMP_SWAP', 'FETCH_ADD', 'BIND_MW', 'LOCAL_INV', 'RECV'];

describe('the layout of verbs.h', () => {
  it('equals_what_a_c_compiler_says', function () {
    const expected: [string, number][] = [
      ...expressionsOf(LAYOUT),
      ...Object.entries(VALUES),
      ...Object.entries(Access)
        .filter(([, bit]) => bit !== 0)
        .map(([name, bit]): [string, number] => [`IBV_ACCESS_${name}`, bit]),
      ['IBV_ACCESS_OPTIONAL_RANGE', OPTIONAL_ACCESS],
      ...COMPLETION_STATUSES.map((name, value): [string, number] => [`IBV_WC_${name}`, value]),
    ];
    const names = expected.map(([expression]) => expression);
    const actual = valuesInC(this, 'cc + libibverbs-dev', ['infiniband/verbs.h'], names);
    assert.ok(actual.length > 150);
    assert.deepEqual(
      names.map((name, index) => [name, actual[index]]),
      expected,
    );
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
