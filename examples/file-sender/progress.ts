import type { WriteStream } from 'node:tty';
import { styleText } from 'node:util';

/** What of a stream it takes. */
type Output = Pick<NodeJS.WritableStream, 'write'> & Partial<Pick<WriteStream, 'isTTY' | 'columns'>>;

/** Columns besides the bar: a percentage, and the brackets. */
const BESIDES = 8;

/** A bar that grows in the last line of a terminal. Somewhere else it is not shown. */
export class Progress {
  readonly #output: Output;
  #line = '';

  constructor(output: Output) {
    this.#output = output;
  }

  show(done: number, bytes: number): void {
    if (this.#output.isTTY !== true) return;
    const share = bytes === 0 ? 1 : done / bytes;
    const width = Math.min(60, (this.#output.columns ?? 80) - BESIDES);
    const full = Math.floor(share * width);
    const percent = `${Math.floor(share * 100)} %`.padStart(5);
    const bar = styleText('green', '#'.repeat(full)) + '.'.repeat(width - full);
    const line = `\r${percent} [${bar}]`;
    // There are more parts than columns.
    if (line !== this.#line) this.#output.write((this.#line = line));
  }

  /** Leave the line as it is, and begin another. */
  end(): void {
    if (this.#line !== '') this.#output.write('\n');
  }
}
