import { type Colour, type Paint, wrap } from '../terminal.js';
import type { Report } from './examine.js';
import type { Status } from './finding.js';

const COLOUR: Record<Status, Colour> = { ok: 'green', warning: 'yellow', problem: 'red' };

/** Characters. */
const LINE = 120;

const bullet = (text: string, width: number): string[] =>
  wrap(text, width - 2).map((line, index) => (index === 0 ? '- ' : '  ') + line);

/** A report for people: a line for each finding, with what mends it below. */
export function render(report: Report, paint: Paint): string {
  const { findings } = report;
  const idWidth = Math.max(...findings.map(({ id }) => id.length));
  const statusWidth = 'problem'.length;
  const margin = ' '.repeat(2 + statusWidth + 2 + idWidth + 2);
  const lines = findings.flatMap(({ id, status, text, mend, more = [] }) => [
    `  ${paint(COLOUR[status], status.padEnd(statusWidth))}  ${id.padEnd(idWidth)}  ${text}`,
    ...more.flatMap((line) => bullet(line, LINE - margin.length).map((part) => margin + paint('dim', part))),
    ...(mend === undefined ? [] : [`${margin}-> ${paint('bold', mend)}`]),
  ]);
  return [
    `rdma-regcache ${report.version}, Node ${report.node}`,
    '',
    ...lines,
    '',
    verdict(report, paint),
    '',
  ].join('\n');
}

function verdict({ ok, findings }: Report, paint: Paint): string {
  const count = (wanted: Status): number => findings.filter(({ status }) => status === wanted).length;
  const warnings = count('warning');
  const also = warnings === 0 ? '' : `, ${plural(warnings, 'warning')}`;
  return ok
    ? paint('green', `RDMA with safe caching will work${also}.`)
    : paint('red', `RDMA with safe caching will not work: ${plural(count('problem'), 'problem')}${also}.`);
}

const plural = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;
