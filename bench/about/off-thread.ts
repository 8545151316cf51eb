import { lines } from '../chart/lines.js';
import { sizeText } from '../chart/size.js';
import { type About, JSON_OPTION } from './about.js';

const x = { column: 'KiB', scale: 'log', label: sizeText } as const;
const y = { unit: 'us', scale: 'log' } as const;

export const offThread = {
  question: 'From which size on does it pay to register and deregister off the main thread?',
  answer: ({ rows }) => {
    const less = rows.find((row) => Number(row['registerAsync stall']) < Number(row['register']) / 2);
    if (less === undefined) return undefined;
    return (
      `From ${sizeText(Number(less['KiB']))} on, registering off the main thread holds up the event loop for less than ` +
      `half as long as registering on it does.`
    );
  },
  method:
    'On the main thread the event loop stands still all the time that a call takes. The memory is in place before, in ' +
    'pages of 4 KiB, which take longest.',
  terms: {
    registerAsync: 'on another thread: until the registration is there',
    'registerAsync stall': 'how long the event loop stood still at most, meanwhile',
  },
  columns: {
    KiB: 'key',
    register: 'lower',
    registerAsync: 'lower',
    'registerAsync stall': 'lower',
    deregister: 'lower',
    deregisterAsync: 'lower',
    'deregisterAsync stall': 'lower',
  },
  figures: [
    lines({ title: 'Registering', x, y, series: ['register', 'registerAsync', 'registerAsync stall'] }),
    lines({
      title: 'Deregistering',
      x,
      y,
      series: ['deregister', 'deregisterAsync', 'deregisterAsync stall'],
    }),
  ],
  options: JSON_OPTION,
} satisfies About;
