/**
 * Sizes and offsets, in bytes, of the structures of librdmacm that this package reads or writes. Source:
 * rdma/rdma_cma.h of rdma-core 44 and netinet/in.h; stable ABI, the same on every 64-bit little-endian Linux. A test
 * compares them with a C compiler's.
 */
export const LAYOUT = {
  rdma_event_channel: { sizeof: 4, fd: 0 },
  rdma_cm_id: {
    sizeof: 416,
    verbs: 0,
    channel: 8,
    context: 16,
    qp: 24,
    'route.addr.src_addr': 32,
    ps: 344,
    port_num: 348,
  },
  rdma_conn_param: {
    sizeof: 24,
    private_data: 0,
    private_data_len: 8,
    responder_resources: 9,
    initiator_depth: 10,
    flow_control: 11,
    retry_count: 12,
    rnr_retry_count: 13,
    srq: 14,
    qp_num: 16,
  },
  rdma_cm_event: {
    sizeof: 80,
    id: 0,
    listen_id: 8,
    event: 16,
    status: 20,
    'param.conn.responder_resources': 33,
    'param.conn.initiator_depth': 34,
    'param.conn.qp_num': 40,
  },
  sockaddr_in: { sizeof: 16, sin_family: 0, sin_port: 2, sin_addr: 4 },
  sockaddr_in6: {
    sizeof: 28,
    sin6_family: 0,
    sin6_port: 2,
    sin6_flowinfo: 4,
    sin6_addr: 8,
    sin6_scope_id: 24,
  },
} as const;

/** Values of the headers, under their names there; compared by a test too. */
export const VALUES = { RDMA_PS_TCP: 0x0106, AF_INET: 2, AF_INET6: 10 } as const;

/** Names of `enum rdma_cm_event_type` without their prefix; the index is the value. */
export const EVENTS = [
  'ADDR_RESOLVED',
  'ADDR_ERROR',
  'ROUTE_RESOLVED',
  'ROUTE_ERROR',
  'CONNECT_REQUEST',
  'CONNECT_RESPONSE',
  'CONNECT_ERROR',
  'UNREACHABLE',
  'REJECTED',
  'ESTABLISHED',
  'DISCONNECTED',
  'DEVICE_REMOVAL',
  'MULTICAST_JOIN',
  'MULTICAST_ERROR',
  'ADDR_CHANGE',
  'TIMEWAIT_EXIT',
] as const;

export type EventKind = (typeof EVENTS)[number];
