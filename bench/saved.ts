import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Result, Row } from './result.js';

/** A file that is no result; the message is for the user. */
export class NoResultError extends Error {}

/** What older results do not say. */
const UNSAID = { cpu: 'unknown', node: 'unknown', date: 'unknown', command: 'unknown' };

/**
 * The result in a file, or all that are in a folder, by their names.
 * @param skipped is told of files in the folder that are none
 */
export function loadResults(path: string, skipped: (why: string) => void): Map<string, Result> {
  if (!existsSync(path)) throw new NoResultError(`there is no ${path}`);
  if (!statSync(path).isDirectory()) return byName([loadResult(path)]);
  return byName(
    readdirSync(path)
      .filter((name) => name.endsWith('.json'))
      .flatMap((name) => {
        try {
          return [loadResult(join(path, name))];
        } catch (error) {
          if (!(error instanceof NoResultError)) throw error;
          skipped(error.message);
          return [];
        }
      }),
  );
}

const byName = (results: readonly Result[]): Map<string, Result> =>
  new Map(results.map((result) => [result.name, result]));

function loadResult(path: string): Result {
  let found: unknown;
  try {
    found = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new NoResultError(`${path} cannot be read as JSON: ${(error as Error).message}`);
  }
  if (!isResult(found)) throw new NoResultError(`${path} is no result of a benchmark in schema 1`);
  return { ...UNSAID, ...found };
}

const STRINGS = ['name', 'where', 'kernel', 'monitor', 'registrar', 'unit'] as const;

function isResult(found: unknown): found is Result {
  if (typeof found !== 'object' || found === null) return false;
  const result = found as Record<string, unknown>;
  return (
    result['schema'] === 1 &&
    STRINGS.every((name) => typeof result[name] === 'string') &&
    Array.isArray(result['rows']) &&
    result['rows'].every(isRow)
  );
}

const isRow = (row: unknown): row is Row =>
  typeof row === 'object' &&
  row !== null &&
  Object.values(row).every((value) => typeof value === 'number' || typeof value === 'string');
