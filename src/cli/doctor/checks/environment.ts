import { readEnvironment, unknownVariables, VARIABLES } from '../../../environment.js';
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
  return [{ status: 'ok', text, facts }, ...off, ...slips];
}
