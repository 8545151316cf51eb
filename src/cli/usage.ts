import { VARIABLES } from '../environment.js';
import { columns } from './terminal.js';

const variables = columns(
  Object.values(VARIABLES).flatMap(({ name, values, meaning }) => [
    [name, values],
    ['', meaning],
  ]),
);

export const USAGE = `Usage: rdma-regcache COMMAND [OPTIONS]

  doctor              look at this machine: will RDMA with safe caching work, and what mends what is in the way
  module build        build the ummunotify kernel module for this kernel
  module install      the same, install it, load it, and have it loaded at every boot; as root
  module status       whether it is loaded, usable and of the same version as this package
  stats               what the caches of a running process do, second by second

  --help              show this; after a command, what it does and which options it takes
  --version           the version of this package

Environment variables that programs with this package read. They stand in for its defaults; what a program sets itself
stays.

${variables}
Exit status: 0 yes or done, 1 no or failed, 2 not understood.
`;

export const DOCTOR_USAGE = `Usage: rdma-regcache doctor [--json]

Looks at the kernel, the ummunotify module and its device, userfaultfd, libibverbs, librdmacm and the RDMA devices, limits,
memory and environment variables; says which monitor a cache would get; and, where there is a device and a monitor, registers
memory, changes its mapping and sees whether the cache notices. Changes nothing.

  --json              for programs: { schema: 1, version, node, ok, findings: [{ id, status, text, mend, facts }] }

Each finding is "ok", "warning" (worth knowing) or "problem" (in the way), with the command that mends it.
Exit status: 0 when RDMA with safe caching will work, 1 when it will not, 2 for a wrong command line.
`;

export const MODULE_USAGE = `Usage: rdma-regcache module build|install|status [OPTIONS]

  build               build the module from the sources in this package; prints where it is
  install             build, install module, header and udev rule, load it now and at every boot; needs root
  status              what is loaded and installed; exit status 0 when the module can be used and is the one of this
                      package

  --kernel RELEASE    for another kernel than the running one (build, install)
  --headers FOLDER    with these kernel headers instead of /lib/modules/RELEASE/build (build, install)
  --json              for programs, schema 1

A compiler, make and the kernel's headers are needed; where they are missing, the command to get them is shown.
Exit status: 0 done or yes, 1 failed or no, 2 for a wrong command line.
`;

export const STATS_USAGE = `Usage: rdma-regcache stats [PID|SOCKET] [OPTIONS]

Shows what the caches of a process have done, again each second, until the process ends. The process takes part by
publishStatistics(cache) or with RDMA_REGCACHE_STATS=1 in its environment; it is that of this user, unless root asks.
Without PID or SOCKET the one process that takes part.

  --once              only once
  --json              for programs: { schema: 1, time, pid, title, caches: [...] }, a line each second

Exit status: 0 shown, 1 there is nothing to show, 2 for a wrong command line.
`;
