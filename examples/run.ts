// npm run example -- NAME [ARGUMENT]...: runs an example where the RDMA device is. Without a name: which there are.
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runProgram } from '../native/vm/program.js';

const [name = '', ...args] = process.argv.slice(2);
const mainOf = (example: string): string => fileURLToPath(new URL(`${example}/main.js`, import.meta.url));
const names = readdirSync(fileURLToPath(new URL('.', import.meta.url))).filter((each) =>
  existsSync(mainOf(each)),
);

if (names.includes(name)) {
  process.exitCode = await runProgram(mainOf(name), args);
} else {
  const asked = name === '' || name === '--help';
  (asked ? process.stdout : process.stderr).write(
    `${asked ? '' : `There is no example '${name}'.\n\n`}Usage: npm run example -- NAME [OPTIONS]

NAME is one of ${names.join(', ')}; --help after it shows its options.
`,
  );
  if (!asked) process.exitCode = 2;
}
