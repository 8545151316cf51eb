// Gets everything ready that the npm scripts need, on a machine that has Node and npm and nothing else:
//
//   node native/setup/setup.mjs          everything, the virtual machine's kernel and the driver for it included
//   node native/setup/setup.mjs device   the distribution's packages, npm packages and compiled sources; what the
//                                        virtual machine needs only where this machine has no RDMA device itself
//   node native/setup/setup.mjs vm       the same, with what the virtual machine needs in any case
//   node native/setup/setup.mjs kernel   the same, with what building a kernel needs
//   node native/setup/setup.mjs clients  the same as device, and compilers for C programs of 32 bits and for arm64
//   node native/setup/setup.mjs tests    the same as device, and what the tests of all monitors need
//   node native/setup/setup.mjs ucx      the same as device, UCX with a compiler, to measure beside it, and strace
//   node native/setup/setup.mjs perftest the same as device, and perftest, to measure beside it
//
// Plain JavaScript without dependencies, because it runs before there are any.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from './build.mjs';
import { hasDevice } from './device.mjs';
import { exclusively } from './lock.mjs';
import { provideNpmPackages } from './npm-packages.mjs';
import { providePackages } from './packages.mjs';
import { SetupError } from './step.mjs';

const project = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

try {
  const [what = ''] = process.argv.slice(2);
  const kernelBuild = what === 'kernel';
  const machine = what === 'vm' || kernelBuild || !hasDevice();
  exclusively(join(project, 'dist', '.setup-lock'), () => {
    const [clients, ucx, perftest, monitors] = ['clients', 'ucx', 'perftest', 'tests'].map(
      (one) => what === one,
    );
    providePackages({ machine, kernelBuild, clients, ucx, perftest, monitors });
    provideNpmPackages(project);
    build(project);
  });
  if (machine && what === '') {
    const { prepareVm } = await import(new URL('../../dist/native/vm/run-in-vm.js', import.meta.url));
    const { defaultOptions } = await import(new URL('../../dist/native/vm/options.js', import.meta.url));
    await prepareVm(defaultOptions().kernel);
  }
} catch (error) {
  const expected = error instanceof SetupError || error.name === 'VmError';
  process.stderr.write(`set-up: ${expected ? error.message : error.stack}\n`);
  process.exitCode = 1;
}
