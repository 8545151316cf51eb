import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** A process that answers each command, a line, with a line of JSON. */
export interface Meter<Answer> {
  readonly name: string;
  /** @throws when the process ends instead: what it measured was not right, say */
  ask(command: string): Promise<Answer>;
  end(): void;
}

/** How often all are asked. */
export interface Turns {
  readonly rounds: number;
  /** Rounds before them, which let the compilers settle. */
  readonly warmUp: number;
}

export function startMeter<Answer>(name: string, [program = '', ...args]: readonly string[]): Meter<Answer> {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  // Whoever asks next is told that it ended, and how; a signal leaves nothing on stderr.
  child.stdin.on('error', () => undefined);
  const ended = new Promise<string>((resolve) => {
    child.on('close', (status, signal) => {
      resolve(signal ?? `exit status ${status}`);
    });
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    name,
    ask: async (command) => {
      child.stdin.write(`${command}\n`);
      const answer = await lines.next();
      if (answer.done) throw new Error(`the process that measures ${name} ended early: ${await ended}`);
      return JSON.parse(answer.value) as Answer;
    },
    end: () => {
      child.kill();
    },
  };
}

/**
 * Ask the meters in turn, round by round, so that a machine that changes its speed changes it for all.
 * @returns the answers of each meter, one for each round
 */
export async function inTurn<Answer, M extends Meter<Answer>>(
  asked: readonly (M & Meter<Answer>)[],
  command: string,
  { rounds, warmUp }: Turns,
): Promise<Map<M, Answer[]>> {
  const answers = new Map(asked.map((meter) => [meter, [] as Answer[]]));
  for (let round = -warmUp; round < rounds; round++) {
    for (const meter of asked) {
      const answer = await meter.ask(command);
      if (round >= 0) answers.get(meter)!.push(answer);
    }
    if (round >= 0) process.stderr.write(`${command}, round ${round + 1} of ${rounds}\n`);
  }
  return answers;
}
