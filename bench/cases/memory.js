// @ts-check
/**
 * Resident memory of the process with one VM and with eleven, all waiting for input. RAM that a
 * guest has not touched is not resident.
 */

import { readFile } from 'node:fs/promises';
import { product } from '../product.js';

export const title = 'Memory';

const process_ = { file: 'cases/memory.js', flags: ['--expose-gc'] };
const MEMORY_MIB = 16;
const MORE = 10;
const MIB = 2 ** 20;

/** @type {import('../rows.js').Row[]} */
export const rows = [
  { name: 'resident with 1 VM', unit: 'MiB', process: process_, value: 'one' },
  { name: `resident with ${1 + MORE} VMs`, unit: 'MiB', process: process_, value: 'all' },
  { name: 'resident for each VM more', unit: 'MiB', process: process_, value: 'each' },
];

export async function measure() {
  const { guestImage, ServiceVm, standardPc, V86Hypervisor } = await product('index.js');
  const image = await readFile(guestImage('monitor'));
  const serviceVm = new ServiceVm(new V86Hypervisor());
  const resident = () => {
    globalThis.gc?.();
    return process.memoryUsage.rss() / MIB;
  };
  const add = async () => {
    const vm = await serviceVm.createUserVm({ image: { image }, memoryMiB: MEMORY_MIB });
    // The prompt: the guest has booted and waits for input.
    await new Promise((/** @type {(value: void) => void} */ resolve) => {
      let text = '';
      standardPc(vm, {
        console: {
          write: (bytes) => {
            text += Buffer.from(bytes).toString('latin1');
            if (text.includes('> ')) resolve();
          },
        },
      });
      void vm.start();
    });
  };
  await add();
  const one = resident();
  for (let i = 0; i < MORE; i++) await add();
  const all = resident();
  return { one, all, each: (all - one) / MORE };
}
