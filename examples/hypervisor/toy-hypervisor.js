// @ts-check
/**
 * ToyHypervisor: a hypervisor outside of upcall, which imports nothing but its public names. Its
 * guests are programs of the toy CPU (toy-program.js), one to sixteen vCPUs, each in a thread of
 * its own.
 *
 *     upcall run --hypervisor examples/hypervisor/toy-hypervisor.js examples/hypervisor/hello.bin
 *     upcall doctor examples/hypervisor/toy-hypervisor.js
 *     node examples/hypervisor/main.js
 *     node --test examples/hypervisor/conformance.js
 *
 * Read it beside docs/write-a-hypervisor.md: this file, then toy-thread.js, then toy-cpu.js.
 */

/** @import { Hypervisor } from 'upcall/hypervisor' */

import { GuestMemory, MAX_VCPUS, ThreadedVm, UpcallError } from 'upcall/hypervisor';
import { VERSION_PORT } from './toy-program.js';

/** @implements {Hypervisor} */
export default class ToyHypervisor {
  name = 'toy';

  /**
   * One that needs a device file or a processor says here whether it is there, and what to do if
   * not.
   */
  async available() {
    return /** @type {const} */ ({ available: true, detail: 'a CPU of twelve instructions' });
  }

  /** @type {Hypervisor['createVm']} */
  async createVm(config, buffer, upcall, onEvent) {
    const { memoryBytes, vcpuCount } = config;
    if (vcpuCount > MAX_VCPUS) throw new UpcallError('VM_LIMIT', `${vcpuCount} vCPUs: a VM has at most ${MAX_VCPUS}`);
    const memory = new GuestMemory({
      buffer: new SharedArrayBuffer(memoryBytes),
      byteOffset: 0,
      byteLength: memoryBytes,
    });
    return ThreadedVm.create({
      config,
      buffer,
      upcall,
      onEvent,
      entry: new URL('./toy-thread.js', import.meta.url),
      // What each vCPU's thread gets, by structured cloning. The RAM itself is shared.
      program: () => memory.handle,
      memory,
      // A device that is attached there would never be asked, so attaching it is refused.
      reservedRanges: [{ type: 'port', start: VERSION_PORT, end: VERSION_PORT, what: "the toy CPU's version" }],
    });
  }
}
