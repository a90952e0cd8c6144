/** Hypervisor: what one must write to plug a hypervisor in. See docs/write-a-hypervisor.md. */

import type { SharedBuffer } from '../io-request/shared-buffer.js';
import type { Hypercalls } from './hypercalls.js';
import type { MmioHandlerTable } from './mmio-handlers.js';
import type { PortHandlerTable } from './port-handlers.js';
import type { Upcall } from './upcall.js';

/** ACRN's device model refuses more: a page has 16 slots. */
export const MAX_VCPUS = 16;

export type Availability =
  | { readonly available: true; readonly detail: string }
  | { readonly available: false; readonly reason: string; readonly remedy: string };

export interface VmConfig {
  readonly name: string;
  /** RAM in bytes, a multiple of 1 MiB. */
  readonly memoryBytes: number;
  /** 1…16, where the hypervisor can. */
  readonly vcpuCount: number;
  /** The VM's vCPUs poll their slots for COMPLETE and no completion hypercall is made. */
  readonly completionPolling: boolean;
  /** ACRN's hypervisor looks at PCI configuration accesses before they become requests; see pci-interception.ts. */
  readonly interceptPci?: boolean;
  /** How long a vCPU looks for its answer before it sleeps, in microseconds; adaptive when left out. */
  readonly spinUs?: number | undefined;
}

/** How a vCPU or the whole VM ended without the Service VM's doing. */
export type HypervisorEvent =
  | { readonly kind: 'triple-fault'; readonly vcpu: number; readonly message: string }
  /** Halted with interrupts off: nothing can wake it. */
  | { readonly kind: 'halted'; readonly vcpu: number; readonly message: string }
  /** The hypervisor itself failed: a trap of the core, a thread that died. */
  | { readonly kind: 'crashed'; readonly vcpu: number; readonly message: string; readonly stack?: string };

export interface Hypervisor {
  readonly name: string;
  /** Whether it runs here, or why not and what to do. */
  available(): Promise<Availability>;
  /**
   * Makes a VM in state CREATED, its page stamped FREE and its vCPU threads parked. Throws UpcallError when it cannot.
   * `onEvent` is called in the Service VM's thread; the VM then still has to be paused and destroyed by its owner.
   */
  createVm(
    config: VmConfig,
    buffer: SharedBuffer,
    upcall: Upcall,
    onEvent: (event: HypervisorEvent) => void,
  ): Promise<Hypercalls>;
}

/** Accesses that a hypervisor answers itself, before it makes a request; each vCPU thread has its own. */
export interface HandlerTables {
  readonly ports: PortHandlerTable;
  readonly mmio: MmioHandlerTable;
}
