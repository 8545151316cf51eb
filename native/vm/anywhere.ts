// Runs one of the project's programs where the RDMA device is: node dist/native/vm/anywhere.js PROGRAM.js ARGUMENT...
import { runProgram } from './program.js';

const [program = '', ...args] = process.argv.slice(2);
process.exitCode = await runProgram(program, args);
