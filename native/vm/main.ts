import { endWithCaller } from './ending.js';
import { parseCommandLine, USAGE } from './options.js';
import { reportFailure, STATUS_USAGE } from './errors.js';
import { runInVm } from './run-in-vm.js';

endWithCaller();
try {
  const { help, options, command } = parseCommandLine(process.argv.slice(2));
  if (help) {
    process.stdout.write(USAGE);
  } else if (command.length === 0) {
    process.stderr.write(USAGE);
    process.exitCode = STATUS_USAGE;
  } else {
    process.exitCode = await runInVm(command, options);
  }
} catch (error) {
  process.exitCode = reportFailure(error);
}
