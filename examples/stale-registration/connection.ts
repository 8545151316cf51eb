import { openDevice, completionError, type Context, type WorkCompletion } from 'rdma-regcache';

/** One end of a reliable connection on the first RDMA device: what both processes need. */
export function openConnection() {
  const context = openDevice();
  const pd = context.createProtectionDomain();
  const cq = context.createCompletionQueue({ entries: 16, events: true });
  const qp = pd.createQueuePair({ sendQueue: cq, maxSends: 8, maxReceives: 8 });
  qp.toInit();

  return {
    context: context satisfies Context,
    pd,
    qp,
    /** The next completion; throws when the work request failed. */
    async completed(): Promise<WorkCompletion> {
      const [completion] = await cq.wait();
      if (completion.status !== 'SUCCESS') throw completionError(completion);
      return completion;
    },
    close(): void {
      qp.close();
      cq.close();
      pd.close();
      context.close();
    },
  };
}

export type Connection = ReturnType<typeof openConnection>;
