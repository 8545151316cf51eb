import { parseArguments } from '../arguments.js';
import { EXIT } from '../cli-error.js';
import { paintFor } from '../terminal.js';
import { DOCTOR_USAGE } from '../usage.js';
import { examine, exitStatus } from './examine.js';
import { render } from './render.js';

export async function doctor(args: readonly string[]): Promise<number> {
  const { values } = parseArguments(
    args,
    { json: { type: 'boolean' }, help: { type: 'boolean' } },
    DOCTOR_USAGE,
  );
  if (values.help) {
    process.stdout.write(DOCTOR_USAGE);
    return EXIT.OK;
  }
  const report = await examine();
  process.stdout.write(
    values.json ? `${JSON.stringify(report, undefined, 2)}\n` : render(report, paintFor(process.stdout)),
  );
  return exitStatus(report);
}
