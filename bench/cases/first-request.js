// @ts-check
/**
 * From the start of a process until the first request is served, and a process that only loads the
 * same modules.
 */

import { readFile } from 'node:fs/promises';
import { product } from '../product.js';

export const title = 'Starting';

const FILE = 'cases/first-request.js';
const MEMORY_MIB = 16;

/** @type {import('../rows.js').Row[]} */
export const rows = [
  {
    name: 'first request',
    unit: 'ms',
    process: { file: FILE, args: ['request'] },
    compare: [{ to: 'modules loaded' }],
    quick: true,
  },
  { name: 'modules loaded', unit: 'ms', process: { file: FILE, args: ['modules'] } },
];

/** @param {string} what */
export async function measure(what) {
  const { guestImage, ServiceVm, standardPc, V86Hypervisor } = await product('index.js');
  if (what === 'modules') return { value: performance.now() };
  const image = await readFile(guestImage('hello'));
  const serviceVm = new ServiceVm(new V86Hypervisor());
  const vm = await serviceVm.createUserVm({ image: { image }, memoryMiB: MEMORY_MIB });
  let servedMs = 0;
  standardPc(vm, { console: { write: () => void (servedMs ||= performance.now()) } });
  await vm.start();
  await vm.ended;
  await serviceVm.close();
  return { value: servedMs };
}
