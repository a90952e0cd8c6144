/**
 * `upcall/conformance`: the suite that every hypervisor passes. docs/write-a-hypervisor.md shows
 * how to run it.
 */

export { ConformanceError } from './check.js';
export {
  readsOf,
  type GuestProgram,
  type GuestStep,
  type GuestValue,
  type MemoryLoad,
  type MemoryStore,
  type PortAccess,
  type PortStore,
  type ReadModifyWrite,
  type ShutDown,
  type StringRead,
  type StringWrite,
  type Wait,
} from './guest-program.js';
export type { GuestLoader, HypervisorUnderTest } from './hypervisor-under-test.js';
export { hypervisorSuite, runHypervisorSuite, type HypervisorCase, type RegisterTest } from './suite.js';
export { x86Guests } from './x86-guests.js';
