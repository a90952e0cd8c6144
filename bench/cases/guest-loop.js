// @ts-check
/**
 * A guest's loop of accesses on the embedded core, measured by the guest, and the same with every
 * access a plain call.
 */

import { readFile } from 'node:fs/promises';
import { product } from '../product.js';
import { runGuest } from '../guest.js';

export const title = 'An access of a guest on the embedded core';

const FILE = 'cases/guest-loop.js';
const ACCESSES = 200_000;
const MEMORY_MIB = 64;

/** @type {import('../rows.js').Row[]} */
export const rows = [
  {
    name: 'guest in, page',
    unit: 'ns',
    process: { file: FILE, args: ['page', 'in8 3ff'], cores: 2 },
    compare: [{ to: 'guest in, direct' }],
    quick: true,
  },
  { name: 'guest in, direct', unit: 'ns', process: { file: FILE, args: ['direct', 'in8 3ff'] } },
  {
    name: 'guest MMIO read, page',
    unit: 'ns',
    process: { file: FILE, args: ['page', 'rd32 d0000000'], cores: 2 },
    compare: [{ to: 'guest MMIO read, direct' }],
  },
  { name: 'guest MMIO read, direct', unit: 'ns', process: { file: FILE, args: ['direct', 'rd32 d0000000'] } },
];

/** @param {import('../guest.js').How} how @param {string} access a command of the monitor */
export async function measure(how, access) {
  const { guestImage } = await product('index.js');
  const image = await readFile(guestImage('monitor'));
  // The first loop is the warm-up.
  const cmdline = `time ${access} ${ACCESSES}.; time ${access} ${ACCESSES}.; poweroff`;
  const text = await runGuest(how, { image, cmdline }, MEMORY_MIB);
  const [, last] = [...text.matchAll(/(\d+) ns each/g)];
  if (last === undefined) throw new Error(`the guest printed no time:\n${text}`);
  return { value: Number(last[1]) };
}
