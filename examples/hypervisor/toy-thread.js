// @ts-check
/**
 * The thread of a vCPU. `serveVcpu` parks it until the VM runs, runs the CPU slice by slice, and
 * ends it with the VM: pause, reset and destroy are not the CPU's concern.
 */

/** @import { GuestMemoryHandle } from 'upcall/hypervisor' */

import { GuestMemory, serveVcpu } from 'upcall/hypervisor';
import { ToyCpu } from './toy-cpu.js';
import { VERSION_PORT } from './toy-program.js';

const VERSION = '1'.charCodeAt(0);
/** Of the 23 entries that the table of port handlers has. 3 and 4 are PCI's. */
const VERSION_ENTRY = 0;

await serveVcpu(({ program, handler, handlers, shared }) => {
  // What the hypervisor answers itself never becomes a request.
  handlers.ports.register(VERSION_ENTRY, VERSION_PORT, 1, { read: () => VERSION, write: () => true });
  // `program` is what toy-hypervisor.js gave this vCPU.
  const memory = new GuestMemory(/** @type {GuestMemoryHandle} */ (program));
  return { program: new ToyCpu(memory, handler, shared.lines) };
});
