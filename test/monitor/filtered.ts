/**
 * Opens a userfaultfd monitor in a process in which a filter makes a system call fail, as the filters of containers do,
 * and prints the error's code and message, as JSON.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import koffi from 'koffi';
import { RegcacheError } from '../../src/errors.js';
import { UserfaultfdMonitor } from '../../src/monitor/userfaultfd.js';

export interface Filter {
  /** Number of the system call. */
  call: number;
  /** Its second argument, if only that fails. */
  second?: number;
  errno: number;
}

const FILE = fileURLToPath(import.meta.url);

export function openFiltered(filter: Filter): { code: string; message: string } {
  const { stdout, stderr } = spawnSync(process.execPath, [FILE, JSON.stringify(filter)], {
    encoding: 'utf8',
  });
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as { code: string; message: string };
}

// linux/filter.h, linux/seccomp.h, linux/prctl.h
const LOAD = 0x20;
const JUMP_IF_EQUAL = 0x15;
const RETURN = 0x06;
const ALLOW = 0x7fff0000;
const FAIL = 0x00050000;
const NUMBER = 0;
const SECOND_ARGUMENT = 24;
const PR_SET_SECCOMP = 22;
const PR_SET_NO_NEW_PRIVS = 38;
const SECCOMP_MODE_FILTER = 2;

function install({ call, second, errno }: Filter): void {
  const program: [code: number, ifNot: number, value: number][] = [
    [LOAD, 0, NUMBER],
    [JUMP_IF_EQUAL, second === undefined ? 1 : 3, call],
    ...(second === undefined
      ? []
      : ([
          [LOAD, 0, SECOND_ARGUMENT],
          [JUMP_IF_EQUAL, 1, second],
        ] as [number, number, number][])),
    [RETURN, 0, FAIL | errno],
    [RETURN, 0, ALLOW],
  ];
  const bytes = Buffer.alloc(program.length * 8);
  program.forEach(([code, ifNot, value], n) => {
    bytes.writeUInt16LE(code, n * 8);
    bytes.writeUInt8(ifNot, n * 8 + 3);
    bytes.writeUInt32LE(value >>> 0, n * 8 + 4);
  });
  const whole = Buffer.alloc(16);
  whole.writeUInt16LE(program.length, 0);
  whole.writeBigUInt64LE(koffi.address(bytes), 8);
  const prctl = koffi
    .load(null)
    .func('int prctl(int option, unsigned long second, void *third, unsigned long, unsigned long)') as (
    option: number,
    second: number,
    third: Buffer | null,
    fourth: number,
    fifth: number,
  ) => number;
  if (
    prctl(PR_SET_NO_NEW_PRIVS, 1, null, 0, 0) === -1 ||
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, whole, 0, 0) === -1
  ) {
    throw new Error(`no filter could be set: error ${koffi.errno()}`);
  }
}

if (process.argv[1] === FILE) {
  install(JSON.parse(process.argv[2]) as Filter);
  try {
    new UserfaultfdMonitor().close();
    console.log(JSON.stringify({ code: '', message: 'it was opened' }));
  } catch (error) {
    if (!(error instanceof RegcacheError)) throw error;
    console.log(JSON.stringify({ code: error.code, message: error.message }));
  }
}
