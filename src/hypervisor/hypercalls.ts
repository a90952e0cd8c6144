/**
 * Hypercalls: what the Service VM may ask the hypervisor for one User VM.
 *
 * Called by: the HSM, the VM's life cycle (vm/), and the ioctls (acrn-hsm/).
 * Implemented by: ThreadedVm, for hypervisors whose vCPUs are threads of this process;
 * ClientHypervisor (vfio-user/), which has no vCPU threads.
 * Threads: the Service VM's. Other threads use `shared`.
 *
 * Results are ACRN's: 0, or a negative number. Most refusals are a bare −1, which Linux' driver
 * reports as EPERM. The life cycle is ACRN's too: START needs CREATED and a page that was set,
 * RESET and DESTROY need PAUSED. Only RESET leaves PAUSED for another start: it makes the VM
 * CREATED. A VM that is POWERED_OFF refuses every call but those of `asyncIo`. In all other states
 * PAUSE succeeds.
 */

import { Errno } from '../io-request/errno.js';
import type { VcpuRegisters } from './vcpu-registers.js';
import type { AsyncIoHypercalls } from './async-io-hypercalls.js';
import type { GuestMemory } from './guest-memory.js';
import type { MessageEvents } from './message-events.js';
import type { VcpuSnapshots } from './saved-vcpu.js';
import type { VmSharedState } from './vm-shared-state.js';
import type { WriteLog } from './write-log.js';

export const HYPERCALL_REFUSED = Errno.EPERM;
/** −EINVAL: arguments for which ACRN returns this code instead of the plain refusal. */
export const HYPERCALL_INVALID = Errno.EINVAL;

/**
 * Addresses at which no device is reached, because the hypervisor answers their accesses itself or
 * they are RAM.
 */
export interface ReservedRange {
  readonly type: 'port' | 'mmio';
  readonly start: number;
  /** Inclusive. */
  readonly end: number;
  readonly what: string;
}

export interface Hypercalls {
  readonly vcpuCount: number;
  readonly memory: GuestMemory;
  /**
   * For what other threads do without a call: raise a line, wake a vCPU whose slot they completed.
   */
  readonly shared: VmSharedState;

  /**
   * HC_SET_IOREQ_BUFFER: stamps the slots of the page FREE. It is the page that the VM was created
   * with. Only while CREATED.
   */
  setIoreqBuffer(): number;
  /**
   * HC_NOTIFY_REQUEST_FINISH: wakes the vCPU, whose slot was completed. Does not read the slot.
   * Refused for a vCPU that does not exist.
   */
  notifyRequestFinish(vcpu: number): number;
  /**
   * HC_SET_VCPU_REGS: where a vCPU starts. Refused while RUNNING, and for a vCPU that does not
   * exist. HYPERCALL_INVALID for registers that the hypervisor cannot store.
   */
  setVcpuRegs(vcpu: number, registers: VcpuRegisters): number;
  /** HC_START_VM: CREATED → RUNNING. Refused until `setIoreqBuffer` was called. */
  startVm(): number;
  /**
   * HC_PAUSE_VM: resolves when every vCPU is parked or waits for a request that the Service VM
   * has not completed.
   */
  pauseVm(): Promise<number>;
  /**
   * HC_RESET_VM: PAUSED → CREATED; slots FREE, waiting vCPUs withdrawn, interrupt controllers
   * and registers at their power-on state.
   */
  resetVm(): Promise<number>;
  /** HC_DESTROY_VM: PAUSED → POWERED_OFF. The threads end. */
  destroyVm(): Promise<number>;
  /**
   * HC_SET_IRQLINE: refused for a line that does not exist. `operation` is one of IrqLineOperation.
   * Returns 0 and does nothing for others.
   */
  setIrqLine(gsi: number, operation: number): number;
  /** HC_INJECT_MSI: refused unless bits 31…20 of `address` are 0xFEE. Both are u32. */
  injectMsi(address: number, data: number): number;
  /**
   * HC_VM_WRITE_PROTECT_PAGE: from now on the guest's stores to the page at `address` are
   * write-protect requests, or stores again. Its loads are not affected, nor is what the Service VM
   * writes. HYPERCALL_INVALID unless it is the start of a page of RAM whose stores the hypervisor
   * can trap. Lasts over a reset. Left out by a hypervisor that cannot trap stores to single pages.
   */
  readonly writeProtectPage?: (address: number, protect: boolean) => number;
  /** Ranges in which a device is never reached. Default: none. */
  readonly reservedRanges?: readonly ReservedRange[];
  /** Bits of a physical address of the guest's CPU, 32…52. Default: 52. */
  readonly addressBits?: number;
  /** Left out by a hypervisor whose vCPUs cannot be saved. */
  readonly snapshots?: VcpuSnapshots;
  /** Left out by a hypervisor without one. A save then holds the vCPUs while all RAM is copied. */
  readonly writeLog?: WriteLog;
  /**
   * The machine decodes base address registers (BARs) of PCI cards itself: where it makes requests
   * for BAR number `bar`, whatever address the guest has given it. Default: at that address.
   */
  readonly barWindow?: (bar: number, isPorts: boolean) => number;
  /**
   * The machine takes interrupt messages of PCI cards by their number within the card, whatever
   * address and data the card has for it. Returns false if it does not want that one. Default:
   * `injectMsi`.
   */
  readonly sendMessage?: (message: number) => boolean;
  /** Left out by a hypervisor to which each message has to be given (`injectMsi`). */
  readonly messageEvents?: MessageEvents;
  /** Left out by a hypervisor that makes a request of every write. */
  readonly asyncIo?: AsyncIoHypercalls;
}
