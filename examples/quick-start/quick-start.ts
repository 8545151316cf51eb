/** One process writes into its own memory through the RDMA device: the least that shows all the parts. */
import { Access, addressOf, createCache, openDevice, SendRequests } from 'rdma-regcache';

using context = openDevice(); // the first RDMA device
using pd = context.createProtectionDomain();
using cq = context.createCompletionQueue({ events: true });
using qp = pd.createQueuePair({ sendQueue: cq });
using cache = createCache(pd); // watched over by /dev/ummunotify
qp.connect(qp.toInit()); // to itself; a peer would send its endpoint by other means

const source = Buffer.from('bytes that crossed the wire');
const target = Buffer.alloc(source.length);
for (let i = 1; i <= 3; i++) {
  using from = cache.acquire(source);
  using to = cache.acquire(target, Access.LOCAL_WRITE | Access.REMOTE_WRITE);
  const write = new SendRequests();
  write.write(i, addressOf(source), source.length, from.lkey, addressOf(target), to.rkey);
  qp.postSend(write);
  for (const done of await cq.wait()) console.log(done.status, target.toString());
}
const { hits, misses } = cache.statistics();
console.log({ hits, misses });
