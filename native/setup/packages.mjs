import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './run.mjs';
import { SetupError, step } from './step.mjs';

/** What programs that use an RDMA device need. */
const LIBRARIES = [
  { name: 'libibverbs1', present: () => hasLibrary('libibverbs.so.1') },
  { name: 'librdmacm1', present: () => hasLibrary('librdmacm.so.1') },
  { name: 'ibverbs-providers', present: () => existsSync('/etc/libibverbs.d/rxe.driver') },
];

/** For the plain C clients of the driver and of UCX, in tests and benchmarks. */
const C_COMPILER = [
  { name: 'gcc-12', present: () => hasProgram('gcc-12') },
  { name: 'libc6-dev', present: () => existsSync('/usr/include/stdio.h') },
];

/** What the tests of monitors other than ummunotify need: a compiler for their C helper, and UCX's hooks. */
const MONITORS = [
  { name: 'gcc', present: () => hasProgram('cc') },
  { name: 'libc6-dev', present: () => existsSync('/usr/include/stdio.h') },
  { name: 'libucx0', present: () => hasLibrary('libucm.so.0') },
];

/** What fetching and unpacking a kernel, building the driver for it and running the virtual machine need. */
const MACHINE = [
  { name: 'qemu-system-x86', present: () => hasProgram('qemu-system-x86_64') },
  { name: 'iproute2', present: () => hasProgram('rdma') },
  ...C_COMPILER,
  { name: 'make', present: () => hasProgram('make') },
  { name: 'xz-utils', present: () => hasProgram('xz') },
  // The guest installs the driver with it.
  { name: 'kmod', present: () => hasProgram('depmod') },
  // Programs of linux-kbuild are linked with these two.
  { name: 'libelf1', present: () => hasLibrary('libelf.so.1') },
  { name: 'libssl3', present: () => hasLibrary('libssl.so.3') },
];

/** What building a kernel from the distribution's source needs besides, and making and applying patches of it. */
const KERNEL_BUILD = [
  { name: 'gcc', present: () => hasProgram('gcc') },
  { name: 'bc', present: () => hasProgram('bc') },
  { name: 'bison', present: () => hasProgram('bison') },
  { name: 'flex', present: () => hasProgram('flex') },
  { name: 'libelf-dev', present: () => existsSync('/usr/include/libelf.h') },
  { name: 'perl', present: () => hasProgram('perl') },
  { name: 'git', present: () => hasProgram('git') },
  { name: 'patch', present: () => hasProgram('patch') },
];

/**
 * What building the driver's C clients for 32 bits needs, compiling the C sources for arm64, and comparing our layouts of
 * verbs.h and rdma_cma.h with a compiler's.
 */
const CLIENTS = [
  { name: 'gcc-aarch64-linux-gnu', present: () => hasProgram('aarch64-linux-gnu-gcc') },
  { name: 'libc6-dev-arm64-cross', present: () => existsSync('/usr/aarch64-linux-gnu/include/stdio.h') },
  { name: 'gcc-12-multilib', present: () => existsSync('/usr/lib32/libc.so.6') },
  { name: 'libibverbs-dev', present: () => existsSync('/usr/include/infiniband/verbs.h') },
  { name: 'librdmacm-dev', present: () => existsSync('/usr/include/rdma/rdma_cma.h') },
];

/** What measuring a hit needs: UCX to compare with, and a witness of system calls. */
const UCX = [
  ...C_COMPILER,
  { name: 'libibverbs-dev', present: () => existsSync('/usr/include/infiniband/verbs.h') },
  { name: 'libucx-dev', present: () => existsSync('/usr/include/ucs/memory/rcache.h') },
  { name: 'strace', present: () => hasProgram('strace') },
];

/** What measuring transfers beside C programs needs. */
const PERFTEST = [{ name: 'perftest', present: () => hasProgram('ib_write_bw') }];

/** Installs the distribution's packages that are missing, or says how and stops when this user may not. */
export function providePackages({
  machine,
  kernelBuild = false,
  clients = false,
  ucx = false,
  perftest = false,
  monitors = false,
}) {
  const wanted = new Set([
    ...LIBRARIES,
    ...(machine ? MACHINE : []),
    ...(kernelBuild ? KERNEL_BUILD : []),
    ...(clients ? CLIENTS : []),
    ...(ucx ? UCX : []),
    ...(perftest ? PERFTEST : []),
    ...(monitors ? MONITORS : []),
  ]);
  const missing = [...wanted].filter((one) => !one.present()).map(({ name }) => name);
  if (missing.length === 0) return;
  if (!hasProgram('apt-get')) {
    throw new SetupError(
      `missing: ${missing.join(', ')} (names of Debian packages), and there is no apt-get to get them; ` +
        'install what they hold, then try again',
    );
  }
  const install = `apt-get install -y --no-install-recommends ${missing.join(' ')}`;
  if (process.getuid() !== 0) {
    throw new SetupError(
      `packages of the distribution are missing; run this, then try again:\n\n  sudo apt-get update && sudo ${install}\n`,
    );
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const update = () =>
    step('Fetching the package lists (apt-get update)', () => run('apt-get', ['-q', 'update'], { env }));
  const tryInstall = () =>
    step(`Installing ${missing.join(' ')}`, () => run('apt-get', install.split(' ').slice(1), { env }));
  if (!hasPackageLists()) {
    update();
    tryInstall();
    return;
  }
  try {
    tryInstall();
  } catch {
    // Lists from yesterday name versions that the archive has replaced today.
    update();
    tryInstall();
  }
}

function hasProgram(name) {
  const folders = [...(process.env.PATH ?? '').split(':').filter(Boolean), '/usr/sbin', '/sbin'];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function hasLibrary(name) {
  const triplet = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' }[process.arch] ?? '';
  return [`/usr/lib/${triplet}`, `/lib/${triplet}`, '/usr/lib64', '/usr/lib', '/usr/local/lib'].some(
    (folder) => existsSync(join(folder, name)),
  );
}

function hasPackageLists() {
  try {
    return readdirSync('/var/lib/apt/lists').some((name) => name.includes('_Packages'));
  } catch {
    return false;
  }
}
