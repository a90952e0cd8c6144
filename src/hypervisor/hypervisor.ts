/**
 * Hypervisor: the interface that a hypervisor implements to be plugged in. See
 * docs/write-a-hypervisor.md.
 *
 * Called by: ServiceVm, in the Service VM's thread.
 */

import type { SharedBuffer } from '../io-request/shared-buffer.js';
import type { Hypercalls } from './hypercalls.js';
import type { SavedVcpu } from './saved-vcpu.js';
import type { PlacingWaker } from '../sync/waker.js';
import type { MmioHandlerTable } from './mmio-handlers.js';
import type { PortHandlerTable } from './port-handlers.js';
import type { Upcall } from './upcall.js';

/** A page has 16 slots. ACRN's device model refuses more, too. */
export const MAX_VCPUS = 16;

export type Availability =
  | { readonly available: true; readonly detail: string }
  | { readonly available: false; readonly reason: string; readonly remedy: string };

/** What does not run although the hypervisor is available. */
export interface Limitation {
  readonly reason: string;
  readonly remedy: string;
}

/** `name`: what the page is for: "requests" (the slots), "async-io" or "vm-events". */
export type AllocatePage = (name: string) => SharedArrayBuffer;

export interface VmConfig {
  readonly name: string;
  /** RAM in bytes, a multiple of 1 MiB. */
  readonly memoryBytes: number;
  /** 1…16, as far as the hypervisor can. */
  readonly vcpuCount: number;
  /** The VM's vCPUs poll their slots for COMPLETE and no completion hypercall is made. */
  readonly completionPolling: boolean;
  /**
   * Whether PCI configuration accesses are intercepted, as in ACRN. See pci-interception.ts.
   * Default: false.
   */
  readonly interceptPci?: boolean;
  /** Microseconds that a vCPU spins for its answer before it parks. Default: adaptive. */
  readonly spinUs?: number | undefined;
  /**
   * Of the Service VM's thread, if it wakes each vCPU on another CPU than its own (sync/waker.ts).
   * vCPU threads then do the same. Default: none.
   */
  readonly waker?: PlacingWaker | undefined;
  /**
   * Allocates the memory of the rings of asynchronous I/O, where another process is to map it. The
   * first PAGE_BYTES of what it returns are a zeroed page. Default: new SharedArrayBuffers.
   */
  readonly allocatePage?: AllocatePage | undefined;
  /** The states that the vCPUs start from, by vCPU, of this `stateVersion`. Default: power-on. */
  readonly restored?: readonly SavedVcpu[] | undefined;
  /** The CPU that the thread of a vCPU is pinned to. Default: none. */
  readonly cpuOf?: ((vcpu: number) => number | undefined) | undefined;
}

/** The end of a vCPU or of the VM that the Service VM did not ask for. */
export type HypervisorEvent =
  | { readonly kind: 'triple-fault'; readonly vcpu: number; readonly message: string }
  /** Halted with interrupts off: nothing can wake it. */
  | { readonly kind: 'halted'; readonly vcpu: number; readonly message: string }
  /** The hypervisor itself failed: a trap of the core, a thread that died. */
  | { readonly kind: 'crashed'; readonly vcpu: number; readonly message: string; readonly stack?: string };

export interface Hypervisor {
  /** For messages, and for the operator, who selects it by `--hypervisor`: "v86". */
  readonly name: string;
  /**
   * Whether its vCPUs have 64-bit mode. Images for x86-64 are refused otherwise. Default: false.
   */
  readonly longMode?: boolean;
  /** Whether it runs here, or why not and the remedy. */
  available(): Promise<Availability>;
  /**
   * Why operating systems do not run in its VMs on this machine. Undefined: nothing is known
   * against them. Default: nothing is.
   */
  whyNoSystem?(): Promise<Limitation | undefined>;
  /**
   * Names the form of its vCPUs' saved states: those of another name are refused. Its VMs have
   * Hypercalls.snapshots and take VmConfig.restored. Default: its VMs cannot be saved.
   */
  stateVersion?(): Promise<string>;
  /**
   * Creates a VM in state CREATED, its page stamped FREE and its vCPU threads parked. Rejects with
   * UpcallError if it cannot. `onEvent` is called in the Service VM's thread. The owner of the VM
   * still has to pause and destroy it then.
   */
  createVm(
    config: VmConfig,
    buffer: SharedBuffer,
    upcall: Upcall,
    onEvent: (event: HypervisorEvent) => void,
  ): Promise<Hypercalls>;
}

/**
 * Accesses that a hypervisor answers itself, before it makes a request. Each vCPU thread has its
 * own tables.
 */
export interface HandlerTables {
  readonly ports: PortHandlerTable;
  readonly mmio: MmioHandlerTable;
}
