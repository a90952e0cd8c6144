// @ts-check
/**
 * A hypervisor for cases that need a complete ServiceVm around loop-program.js: its vCPUs only read
 * one port. Cases that need only the page and the worker use machine.js.
 */

import { product } from './product.js';
import { ANSWER, PORT } from './loop-program.js';

/** The maximum of `spinUs`: neither side parks while the other one works. */
const LONG_SPIN_US = 10_000;

/**
 * A User VM with one vCPU and the device that it reads. The vCPU starts at `start`.
 * @param {import('./loop-program.js').Loop} loop
 * @param {boolean} statistics
 */
export async function createLoopVm(loop, statistics) {
  const { ServiceVm } = await product('vm/service-vm.js');
  const { GuestMemory } = await product('hypervisor/guest-memory.js');
  const { ThreadedVm } = await product('hypervisor/threaded-vm.js');
  const { ports } = await product('index.js');
  /** @type {(result: import('./loop-program.js').LoopResult) => void} */
  let resolveResult;
  /** @type {Promise<import('./loop-program.js').LoopResult>} */
  const result = new Promise((resolve) => (resolveResult = resolve));
  /** @type {import('../dist/index.js').Hypervisor} */
  const hypervisor = {
    name: 'loop',
    available: () => Promise.resolve({ available: true, detail: 'reads one port' }),
    createVm: (config, buffer, upcall, onEvent) =>
      ThreadedVm.create({
        config,
        buffer,
        upcall,
        onEvent,
        entry: new URL('./vcpu-thread.js', import.meta.url),
        program: () => loop,
        memory: new GuestMemory({
          buffer: new SharedArrayBuffer(config.memoryBytes),
          byteOffset: 0,
          byteLength: config.memoryBytes,
        }),
        onReport: (_, report) => resolveResult(/** @type {import('./loop-program.js').LoopResult} */ (report)),
      }),
  };
  const serviceVm = new ServiceVm(hypervisor, { spinUs: LONG_SPIN_US });
  const vm = await serviceVm.createUserVm({ memoryMiB: 1, statistics });
  vm.attach(ports(PORT, 8), { name: 'answering device', read: () => ANSWER, write: () => undefined });
  return { vm, result };
}
