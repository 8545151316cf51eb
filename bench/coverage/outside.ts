import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemError } from '../../src/errors.js';
import { E } from '../../src/system/libc.js';

/**
 * A process that runs commands, one when it is told to. It is there before anything is registered: some caches drop
 * everything when a process is made.
 */
export class OutsideProcess {
  readonly #commands: number;
  readonly #answers: number;
  readonly #shell: ChildProcess;

  constructor() {
    const folder = mkdtempSync(join(tmpdir(), 'regcache-coverage-'));
    const [commands, answers] = ['commands', 'answers'].map((name) => join(folder, name));
    execFileSync('mkfifo', [commands, answers]);
    // For both, as opening only one end would wait for the other.
    [this.#commands, this.#answers] = [openSync(commands, 'r+'), openSync(answers, 'r+')];
    // Only this process has the end that is written to: when it is killed, the other one comes to its end, too.
    const toBeRead = openSync(commands, 'r');
    rmSync(folder, { recursive: true });
    const loop = 'while read -r line; do if eval "$line" >&2; then echo 0; else echo 1; fi; done';
    this.#shell = spawn('sh', ['-c', loop], { stdio: [toBeRead, this.#answers, 2] });
    closeSync(toBeRead);
  }

  /**
   * Returns when it is done; without the event loop, which would give the monitor a turn.
   * @param words that mean to a shell what they are
   */
  run(...words: readonly string[]): void {
    writeSync(this.#commands, `${words.join(' ')}\n`);
    const answer = Buffer.alloc(2);
    readSync(this.#answers, answer);
    if (answer.toString('latin1') !== '0\n') throw systemError(E.EIO, words[0]);
  }

  end(): void {
    this.#shell.kill('SIGKILL');
    closeSync(this.#commands);
    closeSync(this.#answers);
  }
}
