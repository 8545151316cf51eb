/**
 * Runs as an ordinary user and prints what createCache or acquire refuse, as JSON. Started by root, so that it need
 * not be able to read the project's files: rights are given up once everything is loaded.
 */
import { createCache, listDevices, openDevice, RegcacheError } from '../../src/index.js';
import { map } from '../../src/system/mapping.js';

const NOBODY = 65534;
listDevices();
process.setgroups!([]);
process.setgid!(NOBODY);
process.setuid!(NOBODY);

const context = openDevice();
const pd = context.createProtectionDomain();
try {
  using cache = createCache(pd);
  const length = Number(process.argv[2]);
  // One registration is idle, and no help against the limit.
  cache.acquireRange(map(4096), 4096).release();
  using registration = cache.acquireRange(map(length), length);
  console.log(
    JSON.stringify({ length: registration.length, passedOver: cache.monitorChoice.passedOver[0]?.code }),
  );
} catch (error) {
  if (!(error instanceof RegcacheError)) throw error;
  const { code, errno, syscall, path, message } = error;
  console.log(JSON.stringify({ code, errno, syscall, path, message }));
}
pd.close();
context.close();
