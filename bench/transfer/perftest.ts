/** The C programs of the Debian package perftest, a server and a client on this machine. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { Duration, Flow } from './cases.js';
import type { Connection } from '../connection.js';

/** It calibrates the processor's clock, in vain now and then on a busy machine, and finds no rate. */
const ATTEMPTS = 4;
/** Messages: it takes no less. */
const LEAST = 5;
const PORT = 18515;
/** TCP_LISTEN (include/net/tcp_states.h), as /proc/net/tcp shows it. */
const LISTENING = '0A';
/** Seconds. */
const LIMIT = 300;

/**
 * The same flow, through the same port of the device.
 * @param lists whether it posts a list of requests with one call, or one request with each
 * @returns messages a second
 */
export async function perftest(
  connection: Connection,
  flow: Flow,
  duration: Duration,
  lists: boolean,
): Promise<number> {
  const program = `ib_${flow.operation}_bw`;
  const args = argumentsFor(connection, flow, duration, lists);
  for (let attempt = 1; ; attempt++) {
    const output = await serverAndClient(program, args);
    const rate = rateOf(output, flow.bytes, duration.seconds);
    if (rate !== undefined) return rate;
    if (attempt === ATTEMPTS) throw new Error(`${[program, ...args].join(' ')} measured nothing:\n${output}`);
  }
}

/**
 * @param output of the client
 * @returns messages a second; undefined if it has found none
 */
export function rateOf(output: string, bytes: number, seconds: number): number | undefined {
  const [, messages, , average] = LINE.exec(output)?.slice(1).map(Number) ?? [];
  // Of whole seconds the system's clock is the measure, which is right without being calibrated.
  const rate = seconds > 0 ? messages / seconds : (average * 2 ** 20) / bytes;
  return rate > 0 && Number.isFinite(rate) ? rate : undefined;
}

/** Bytes, messages, peak and average in MiB/s, millions of messages a second. */
const LINE = /^ *(\d+) +(\d+) +([\d.]+|inf|-?nan) +([\d.]+|inf|-?nan)[ \t]+([\d.]+|inf|-?nan)\s*$/m;

function argumentsFor(
  { device, gidIndex, reads }: Connection,
  { operation, bytes, window, list }: Flow,
  { seconds, messages }: Duration,
  lists: boolean,
): string[] {
  return [
    ...['-F', '-d', device, '-p', PORT],
    ...(gidIndex === undefined ? [] : ['-x', gidIndex]),
    ...['-s', bytes, '-t', window, '-Q', list],
    ...(lists ? ['-l', list] : []),
    ...(operation === 'read' ? ['-o', reads] : []),
    ...(seconds > 0 ? ['-D', seconds, '-f', 0] : ['-n', Math.max(LEAST, messages)]),
  ].map(String);
}

/** @returns what the client prints */
async function serverAndClient(program: string, args: readonly string[]): Promise<string> {
  const server = spawn(program, args, { stdio: 'ignore' });
  const ended = once(server, 'close');
  try {
    await untilListening(server);
    const client = spawn(program, [...args, '127.0.0.1'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: 1000 * LIMIT,
    });
    let output = '';
    client.stdout.setEncoding('latin1').on('data', (text: string) => (output += text));
    const [status] = (await once(client, 'close')) as [number | null];
    if (status !== 0) server.kill();
    await ended;
    return output;
  } finally {
    server.kill();
  }
}

async function untilListening(server: ChildProcess): Promise<void> {
  const local = `:${PORT.toString(16).toUpperCase().padStart(4, '0')}`;
  const listens = (line: string): boolean => {
    const [, address = '', , state] = line.trim().split(/\s+/);
    return address.endsWith(local) && state === LISTENING;
  };
  while (
    !['tcp', 'tcp6'].some((table) => readFileSync(`/proc/net/${table}`, 'latin1').split('\n').some(listens))
  ) {
    if (server.exitCode !== null) throw new Error(`${server.spawnfile} ended before it listened`);
    await pause(10);
  }
}
