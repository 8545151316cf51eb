import { HITS } from '../hit/proof-loop.js';
import { type About, JSON_OPTION } from './about.js';

export const hitProof = {
  question: 'Does a hit allocate, make a system call, or call C?',
  answer: ({ rows }) => {
    const own = rows.filter(({ loop }) => (HITS as readonly unknown[]).includes(loop));
    if (own.length < HITS.length) return undefined;
    const count = (column: string): string =>
      own.reduce((sum, row) => sum + Number(row[column]), 0).toLocaleString('en-US');
    return (
      `In ${count('hits')} hits there were ${count('garbage collections')} garbage collections, ` +
      `${count('system calls')} system calls and ${count('calls of C')} calls of C.`
    );
  },
  method:
    'Loops of hits under strace, with garbage collections traced and all functions of C counted, beside an empty loop, ' +
    'and beside loops that do one of these things at one hit in 1000, which has to be seen.',
  terms: { 'heap grown by': 'bytes; the compilers may need a little at any time' },
  columns: {
    loop: 'key',
    hits: 'information',
    'garbage collections': 'lower',
    'heap grown by': 'information',
    'system calls': 'lower',
    'calls of C': 'lower',
  },
  figures: [],
  options: { ...JSON_OPTION, hits: { type: 'string', default: '100000000' } },
  usage: '--hits N',
} satisfies About;
