import koffi from 'koffi';
import { LAYOUT } from './layout.js';
import { readPointer } from './library.js';
import { pointerOf } from './resource.js';

/**
 * The functions of the data path. verbs.h has them inline, as calls through the operation table of the context, so no
 * library exports them. All parameters are plain numbers: nothing is marshalled.
 */
export interface Operations {
  /** Number of completions written, or negative. */
  pollCq: (cq: number, max: number, completions: number) => number;
  reqNotifyCq: (cq: number, solicitedOnly: number) => number;
  /** 0 or an errno; then the address of the first request that was not posted is at `badRequest`. */
  postSend: (qp: number, requests: number, badRequest: number) => number;
  postRecv: (qp: number, requests: number, badRequest: number) => number;
}

// Anonymous prototypes, made once: koffi caches what belongs to them.
const POLL = koffi.proto('int', ['uintptr_t', 'int', 'uintptr_t']);
const NOTIFY = koffi.proto('int', ['uintptr_t', 'int']);
const POST = koffi.proto('int', ['uintptr_t', 'uintptr_t', 'uintptr_t']);

const known = new WeakMap<object, Operations>();

/**
 * Those of an open context; decoding a function pointer takes microseconds, so once per context. They take any number
 * for a pointer, so no object that programs get at has them.
 */
export function operationsOf(context: object): Operations {
  let operations = known.get(context);
  if (operations === undefined) known.set(context, (operations = load(pointerOf(context, 'device context'))));
  return operations;
}

function load(context: number): Operations {
  const table = context + LAYOUT.ibv_context.ops;
  const at = LAYOUT.ibv_context_ops;
  const decode = (offset: number, prototype: ReturnType<typeof koffi.proto>): unknown =>
    koffi.decode(readPointer(table + offset), prototype);
  return {
    pollCq: decode(at.poll_cq, POLL) as Operations['pollCq'],
    reqNotifyCq: decode(at.req_notify_cq, NOTIFY) as Operations['reqNotifyCq'],
    postSend: decode(at.post_send, POST) as Operations['postSend'],
    postRecv: decode(at.post_recv, POST) as Operations['postRecv'],
  };
}
