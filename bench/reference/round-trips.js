// @ts-check
/** The rows of the thread switches in C: the least that two threads cost each other. */

export const title = 'C: there and back between two threads';

/** @type {import('../rows.js').Row[]} */
export const rows = [
  { name: 'C: one cache line', unit: 'ns', process: { file: 'reference/ping-pong.c', cores: 2 } },
  {
    name: 'C: a slot',
    unit: 'ns',
    process: { file: 'reference/slot-lines.c', args: ['store'], cores: 2 },
    compare: [{ to: 'C: one cache line' }],
  },
  {
    name: 'C: a slot, moved by compare-and-exchange',
    unit: 'ns',
    process: { file: 'reference/slot-lines.c', args: ['exchange'], cores: 2 },
    compare: [{ to: 'C: a slot' }],
  },
  { name: 'C: futex', unit: 'ns', process: { file: 'reference/futex.c' } },
  {
    name: 'C: futex, two processes',
    unit: 'ns',
    process: { file: 'reference/futex.c', args: ['processes'] },
    compare: [{ to: 'C: futex' }],
  },
  {
    name: 'C: futex, two processes on one CPU',
    unit: 'ns',
    process: { file: 'reference/futex.c', args: ['processes', 'same'] },
  },
  {
    name: 'C: futex, two processes on two CPUs',
    unit: 'ns',
    process: { file: 'reference/futex.c', args: ['processes', 'apart'], cores: 2 },
  },
  { name: 'C: eventfd', unit: 'ns', process: { file: 'reference/eventfd.c' }, compare: [{ to: 'C: futex' }] },
];
