/**
 * `upcall/hypervisor`: what one needs to write a hypervisor, and nothing else.
 * docs/write-a-hypervisor.md explains it along examples/hypervisor.
 */

// The interface that a hypervisor implements.
export {
  MAX_VCPUS,
  type Availability,
  type HandlerTables,
  type Hypervisor,
  type VmConfig,
  type HypervisorEvent,
} from './hypervisor.js';
export { HYPERCALL_INVALID, HYPERCALL_REFUSED, type Hypercalls, type ReservedRange } from './hypercalls.js';
export { UpcallError, type UpcallErrorCode, type UpcallErrorOptions } from '../io-request/upcall-error.js';

// vCPUs as threads of this process.
export { ThreadedVm } from './threaded-vm.js';
export type { ThreadedVmOptions, VmMachine } from './threaded-vcpu.js';
export { serveVcpu, type BuiltVcpu, type VcpuContext } from './vcpu-thread.js';
export { HALTED_FOREVER, TripleFault, type VcpuProgram } from './vcpu-loop.js';
export type { DescriptorTable, SegmentRegister, VcpuRegisters } from './vcpu-registers.js';
export { GuestMemory, type GuestMemoryHandle } from './guest-memory.js';
export { DirtyPages } from './dirty-pages.js';
export { PageSet } from './page-set.js';
export type { WriteLog } from './write-log.js';

// Trapped accesses.
export { GeneralProtection, IoHandler, VcpuStopped, type IoHandlerOptions } from './io-handler.js';
export { MMIO_HANDLER_COUNT, MmioHandlerTable, STRADDLES, type MmioHandler } from './mmio-handlers.js';
export { PORT_HANDLER_COUNT, PortHandlerTable, type PortHandler } from './port-handlers.js';
export { interceptPci } from './pci-interception.js';

// Interrupts.
export { INTERRUPT_LINES, InterruptLines, IrqLineOperation, type InterruptController } from './interrupt-lines.js';
export { isMsiAddress, MsiDelivery, MsiQueue, msiTargets } from './msi-queue.js';

// What the threads of a VM share.
export { VcpuCounter, VcpuState, VmSharedState, VmState, type VcpuCounters } from './vm-shared-state.js';
export { ProtectedPages } from './protected-pages.js';
export { Upcall } from './upcall.js';
export { AdaptiveSpin, type AdaptiveSpinOptions } from '../sync/adaptive-spin.js';
export { Doorbell } from '../sync/doorbell.js';
export { OrderedPoll, type Poll } from '../sync/poll.js';

// The page, for a hypervisor that fills slots without an IoHandler.
export { Direction, IoRequestType, PAGE_BYTES, SLOT_BYTES, SLOT_COUNT } from '../io-request/layout.js';
export type { AccessSize, MmioAccessSize } from '../io-request/io-request.js';
export { SharedBuffer } from '../io-request/shared-buffer.js';
export { Slot } from '../io-request/slot.js';
export { IoRequestState } from '../io-request/state.js';
