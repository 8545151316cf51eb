import assert from 'node:assert/strict';
import type { Result, Row } from '../../bench/result.js';

/** A result of nothing that exists. */
export function resultOf(rows: readonly Row[], more: Partial<Result> = {}): Result {
  return {
    schema: 1,
    name: 'sample',
    where: 'host',
    kernel: '6.1.0',
    cpu: '2 x Model',
    node: 'v20.0.0',
    date: '2026-11-24T10:11:12.000Z',
    command: 'npm run bench -- sample',
    monitor: '-',
    registrar: '-',
    unit: 'ns',
    rows: [...rows],
    ...more,
  };
}

/** An element of XML and the text that is directly in it, both as they are written. */
export interface Element {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  text: string;
}

const TAG = /<(\/?)([A-Za-z][\w:-]*)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>/y;
const TEXT = /(?:[^<&]|&(?:amp|lt|gt|quot);)+/y;

/** Reads XML without declarations, comments and entities of its own; throws when it is not well-formed. */
export function elements(xml: string): Element[] {
  const found: Element[] = [];
  const open: Element[] = [];
  let at = 0;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const matched = pattern.exec(xml);
    if (matched !== null) at = pattern.lastIndex;
    return matched;
  };
  while (at < xml.length) {
    const tag = match(TAG);
    if (tag === null) {
      const text = match(TEXT);
      assert.ok(text !== null, `not well-formed: ${xml.slice(at, at + 80)}`);
      if (open.length > 0) open.at(-1)!.text += text[0];
      else assert.equal(text[0].trim(), '', 'text outside of the root');
      continue;
    }
    const [, closing, name, list, empty] = tag;
    if (closing === '/') {
      assert.equal(open.pop()?.name, name, 'closed in another order than opened');
      continue;
    }
    const pairs = [...list.matchAll(/([\w:-]+)="([^"]*)"/g)];
    const attributes = new Map(pairs.map(([, key, value]) => [key, value]));
    assert.equal(attributes.size, pairs.length, `an attribute twice: ${tag[0]}`);
    assert.ok(![...attributes.values()].some((value) => value.includes('NaN')), tag[0]);
    if (open.length === 0) assert.equal(found.length, 0, 'more than one root');
    const element = { name, attributes, text: '' };
    found.push(element);
    if (empty === '') open.push(element);
  }
  assert.equal(open.length, 0, 'not all closed');
  return found;
}
