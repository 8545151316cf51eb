import { escape } from '../chart/svg.js';
import { cellText, columnsOf, type Row } from '../result.js';

/** The rows as a table of HTML, numbers to the right, each with its spread. */
export function htmlTable(rows: readonly Row[], caption: string): string {
  const columns = columnsOf(rows);
  const isNumber = new Set(columns.filter((name) => rows.some((row) => typeof row[name] === 'number')));
  const attributes = (name: string): string => (isNumber.has(name) ? ' class="number"' : '');
  const head = columns.map((name) => `<th scope="col"${attributes(name)}>${escape(name)}</th>`);
  const body = rows.map((row) => {
    const cells = columns.map((name) => `<td${attributes(name)}>${cell(row, name)}</td>`);
    return `<tr>${cells.join('')}</tr>`;
  });
  return [
    '<div class="scroll"><table>',
    ...(caption === '' ? [] : [`<caption>${escape(caption)}</caption>`]),
    `<thead><tr>${head.join('')}</tr></thead>`,
    `<tbody>${body.join('\n')}</tbody>`,
    '</table></div>',
  ].join('\n');
}

/** What comes after the number is less important. */
function cell(row: Row, column: string): string {
  const [value, spread] = cellText(row, column).split(' ±');
  return (
    escape(value) + ((spread as string | undefined) === undefined ? '' : ` <small>±${escape(spread)}</small>`)
  );
}
