import { connect } from 'node:net';
import { parseSnapshot, type Snapshot } from '../../publish/snapshot.js';
import { CliError } from '../cli-error.js';

/** Milliseconds that a process may take to answer; its event loop may be busy. */
const PATIENCE = 10_000;

/** Most characters of an answer: what is longer is none of ours. */
const LONGEST = 1 << 22;

/** Nobody listens there, any more or at all. */
const GONE = new Set(['ECONNREFUSED', 'ENOENT', 'ECONNRESET', 'EPIPE']);

/**
 * What the thread behind a socket says of its caches; nothing when it is gone.
 * @throws CliError
 */
export function ask(path: string): Promise<Snapshot | undefined> {
  return new Promise((resolve, reject) => {
    const connection = connect(path).setEncoding('utf8');
    const refuse = (why: string): void => {
      connection.destroy();
      reject(new CliError(`${path}: ${why}`));
    };
    let text = '';
    connection.setTimeout(PATIENCE, () => {
      refuse(`no answer within ${PATIENCE / 1000} s; is the process stopped, or its event loop busy?`);
    });
    connection.on('data', (more: string) => {
      text += more;
      if (text.length > LONGEST) refuse('who answers there is no process with this package');
    });
    connection.on('error', ({ code, message }: NodeJS.ErrnoException) => {
      if (GONE.has(code ?? '')) resolve(undefined);
      else refuse(code === 'EACCES' ? 'it is the socket of another user' : message);
    });
    connection.on('end', () => {
      const snapshot = parseSnapshot(text);
      if (snapshot !== undefined) resolve(snapshot);
      else if (text === '') resolve(undefined);
      else
        refuse(
          'who answers there is no process with this package, or with a version that this one does not know',
        );
    });
  });
}
