import { bars } from '../chart/bars.js';
import { lines } from '../chart/lines.js';
import { sizeText } from '../chart/size.js';
import { type About, JSON_OPTION } from './about.js';

/** Who transfers. */
export const SUBJECTS = ['perftest', 'cached', 'uncached', 'bounce'] as const;
export type Subject = (typeof SUBJECTS)[number];

/** The least that messages of 64 bytes with the cache may come to, as a part of perftest's rate. */
export const TARGET = 0.95;

/** How long a message takes that is alone on its way. */
export const latencyOf = (subject: Subject): string => `${subject} us`;

export const ratioOf = (subject: Subject): string => `${subject}/perftest`;

const x = { column: 'bytes', scale: 'log', label: (bytes: number) => sizeText(bytes / 1024) } as const;
const operations = ['write', 'read'] as const;

export const transfer = {
  question: 'How fast are RDMA writes and reads in Node, beside C?',
  answer: ({ rows }) => {
    const small = rows.find(({ what, bytes }) => what === 'write' && bytes === 64);
    if (small === undefined || !(ratioOf('cached') in small)) return undefined;
    const ratio = Number(small[ratioOf('cached')]);
    const part = (value: number): string => `${Math.round(100 * value)}%`;
    return (
      `Of messages of 64 bytes, ${Number(small['window'])} under way at once, Node with the cache writes ` +
      `${part(ratio)} of as many as perftest does, which is ${ratio >= TARGET ? 'no less' : 'less'} than the ` +
      `${part(TARGET)} that it should.`
    );
  },
  method:
    'Over a reliable connection between two queue pairs of one device, through the same port, with the same window, ' +
    'the same number of messages to a completion and the same polling. Node transfers many buffers and posts as many ' +
    'requests with one call as there are to a completion; perftest transfers one buffer, and posts each request with a ' +
    'call of its own unless said otherwise. All are measured in turn, a second each or a number of messages; ratios ' +
    'are those of each round. After each turn of Node what arrived is compared with what was sent. Of messages of 4 ' +
    "MiB and more perftest's own clock is the measure, of others the system's.",
  terms: {
    perftest: 'ib_write_bw and ib_read_bw, C, MB/s',
    cached: 'Node: the memory of each message is acquired from the cache and released after it, MB/s',
    uncached: 'Node: it is registered and deregistered for each message, MB/s',
    bounce: 'Node: each message is copied to or from memory that is registered once, MB/s',
    us: 'how long a message takes that is alone on its way',
    'perftest lists': 'perftest with as many requests to a call as Node has, MB/s',
    window: 'messages under way at once',
  },
  columns: {
    what: 'key',
    bytes: 'key',
    window: 'information',
    perftest: 'reference',
    cached: 'higher',
    uncached: 'higher',
    bounce: 'higher',
    'cached/perftest': 'higher',
    'uncached/perftest': 'higher',
    'bounce/perftest': 'higher',
    'perftest lists': 'reference',
    'cached/perftest lists': 'higher',
    'perftest us': 'reference',
    'cached us': 'lower',
    'uncached us': 'lower',
    'bounce us': 'lower',
  },
  figures: [
    ...operations.map((operation) =>
      lines({
        title: `Throughput of ${operation}s, by the size of a message`,
        of: ({ what }) => what === operation,
        x,
        y: { unit: 'MB/s', scale: 'log' },
        series: SUBJECTS,
      }),
    ),
    ...operations.map((operation) =>
      lines({
        title: `Latency of ${operation}s, by the size of a message`,
        of: ({ what }) => what === operation,
        x,
        y: { unit: 'us', scale: 'log' },
        series: SUBJECTS.map(latencyOf),
      }),
    ),
    bars({
      title: "Writes a second, as a part of perftest's",
      of: ({ what }) => what === 'write',
      category: 'bytes',
      unit: '',
      series: SUBJECTS.filter((subject) => subject !== 'perftest').map(ratioOf),
    }),
  ],
  options: { ...JSON_OPTION, bytes: { type: 'string', multiple: true } },
  usage: '--bytes SIZE, as often as you like',
} satisfies About;
