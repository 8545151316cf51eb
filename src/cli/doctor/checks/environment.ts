import { readEnvironment, unknownVariables, VARIABLES } from '../../../environment.js';
import { RegcacheError } from '../../../errors.js';
import { PagemapWitness } from '../../../memory/pagemap.js';
import type { Finding } from '../finding.js';

export function check(): Finding[] {
  // Throws, with the name of the variable, what every cache would throw.
  const settings = readEnvironment();
  const set = Object.values(VARIABLES)
    .map(({ name }) => [name, process.env[name]] as const)
    .filter(([, text]) => text !== undefined && text !== '');
  const facts = { set: Object.fromEntries(set) };
  const text =
    set.length === 0 ? 'no RDMA_REGCACHE_* variable is set' : set.map((pair) => pair.join('=')).join(' ');
  const slips: Finding[] = unknownVariables(process.env).map((name) => ({
    status: 'warning',
    text: `${name} is set, and there is no such variable`,
    mend: 'rdma-regcache --help lists them',
    facts: { unknown: name },
  }));
  const off: Finding[] =
    settings.bypass === true
      ? [{ status: 'problem', text: 'nothing is cached', mend: `unset ${VARIABLES.bypass.name}` }]
      : [];
  const checking = settings.checking === true ? [tryChecking()] : [];
  return [{ status: 'ok', text, facts }, ...off, ...checking, ...slips];
}

function tryChecking(): Finding {
  const mend = `unset ${VARIABLES.checking.name}`;
  try {
    new PagemapWitness().close();
    return { status: 'warning', text: 'every acquire compares page frames, which is slow', mend };
  } catch (error) {
    if (!(error instanceof RegcacheError)) throw error;
    return { status: 'problem', text: `no cache can be made: ${error.reason}`, mend };
  }
}
