import { wholeNumber } from './command-line.js';

/** Which end of the connection a process is. */
export type Role =
  | { readonly is: 'server'; readonly port: number }
  | { readonly is: 'client'; readonly host: string; readonly port: number }
  /** A client, which starts a server in a process of its own. */
  | { readonly is: 'both' };

export const ROLE_OPTIONS = {
  listen: { type: 'boolean', default: false },
  host: { type: 'string' },
  port: { type: 'string', default: '7471' },
} as const;

export const ROLE_USAGE = `  --listen          be the server
  --host HOST       be a client of the server on the machine HOST; with neither, be one of a server started here
  --port N          where the server listens (default 7471; 0, for the server: one that is free)
`;

/** @throws Error for what does not go together */
export function roleOf(values: { listen: boolean; host?: string | undefined; port: string }): Role {
  const { listen, host } = values;
  if (listen && host !== undefined) throw new Error('--listen and --host are for different processes');
  const port = wholeNumber('--port', values.port, listen ? 0 : 1, 0xffff);
  if (listen) return { is: 'server', port };
  return host === undefined ? { is: 'both' } : { is: 'client', host, port };
}
