/**
 * serveVcpu: the thread side of a vCPU. It makes, from ThreadedVm's data, the objects that a
 * hypervisor needs in its vCPU's thread.
 *
 * Called by: a hypervisor's entry file, which is one call with a function that builds its
 * VcpuProgram.
 * Threads: the vCPU's. Once the vCPU is built, the thread does not return to its event loop until
 * the VM is powered off.
 */

import { host } from '../host/current.js';
import { UpcallError, type UpcallErrorCode } from '../io-request/upcall-error.js';
import { SharedBuffer } from '../io-request/shared-buffer.js';
import { PlacingWaker } from '../sync/waker.js';
import { MoveRecorder } from '../trace/move-recorder.js';
import type { GuestMemoryHandle } from './guest-memory.js';
import type { HandlerTables, HypervisorEvent } from './hypervisor.js';
import { IoHandler } from './io-handler.js';
import { MmioHandlerTable } from './mmio-handlers.js';
import { interceptPci } from './pci-interception.js';
import { PortHandlerTable } from './port-handlers.js';
import { powerOffAfterFault } from './power-off.js';
import { Upcall } from './upcall.js';
import { runVcpu, type VcpuProgram } from './vcpu-loop.js';
import type { SavedVcpu } from './saved-vcpu.js';
import { StartRegisters } from './start-registers.js';
import { lowerPriority } from './vcpu-niceness.js';
import { VmSharedState, type VmSharedStateHandle } from './vm-shared-state.js';

/**
 * The data of a new vCPU thread. `program` is the hypervisor's own and must survive
 * structured cloning.
 */
export interface VcpuThreadData {
  readonly vcpu: number;
  readonly vcpuCount: number;
  /** The VM's page: SharedBuffer. */
  readonly page: SharedArrayBuffer;
  /** Upcall. */
  readonly upcall: SharedArrayBuffer;
  readonly shared: VmSharedStateHandle;
  /** StartRegisters. */
  readonly registers: SharedArrayBuffer;
  readonly completionPolling: boolean;
  readonly interceptPci: boolean;
  /** Microseconds that the vCPU spins for its answer before it parks. Undefined: adaptive. */
  readonly spinUs: number | undefined;
  /** Whether the thread wakes others on other CPUs than its own (sync/waker.ts). */
  readonly wakesApart: boolean;
  /** The CPU that it is pinned to. Undefined: none. */
  readonly cpu: number | undefined;
  readonly program: unknown;
}

/** A message from a vCPU's thread to ThreadedVm. */
export type VcpuThreadMessage =
  | { readonly kind: 'ready'; readonly memory?: GuestMemoryHandle }
  | { readonly kind: 'failed'; readonly code: UpcallErrorCode; readonly message: string; readonly remedy?: string }
  /** `start`: the number of the VM's start that it belongs to. */
  | { readonly kind: 'event'; readonly event: HypervisorEvent; readonly start: number }
  | { readonly kind: 'report'; readonly report: unknown }
  /** The vCPU is held: its state for hold number `hold`. */
  | { readonly kind: 'held'; readonly hold: number; readonly state: SavedVcpu };

/** The parts for a VcpuProgram. */
export interface VcpuContext {
  readonly vcpu: number;
  readonly shared: VmSharedState;
  readonly handler: IoHandler;
  /**
   * Empty, or in a VM with `interceptPci` only the handlers of PCI configuration accesses
   * (pci-interception.ts). The builder adds the handlers of its hypervisor.
   */
  readonly handlers: HandlerTables;
  /** What ThreadedVmOptions.program returned for this vCPU. */
  readonly program: unknown;
  /** Sends something to ThreadedVm's `onReport`. */
  readonly report: (report: unknown) => void;
}

export interface BuiltVcpu {
  readonly program: VcpuProgram;
  /** The guest memory, where the core owns it. */
  readonly memory?: GuestMemoryHandle;
}

/**
 * Runs a vCPU until its VM is powered off. `build` throws UpcallError if the hypervisor
 * cannot run.
 */
export async function serveVcpu(build: (context: VcpuContext) => BuiltVcpu | Promise<BuiltVcpu>): Promise<void> {
  const thread = await host.startedThread();
  const data = thread.data as VcpuThreadData;
  const post = (message: VcpuThreadMessage): void => thread.post(message);
  const shared = new VmSharedState(data.shared);
  const registers = new StartRegisters(data.registers);
  const handlers = { ports: new PortHandlerTable(), mmio: new MmioHandlerTable() };
  if (data.interceptPci) interceptPci(handlers, shared);
  const slot = new SharedBuffer(data.page).slot(data.vcpu);
  new MoveRecorder(shared.trace).observe(slot);
  const upcall = new Upcall(data.upcall);
  const placement = data.wakesApart || data.cpu !== undefined ? host.placeThreads() : undefined;
  if (data.cpu !== undefined) placement?.pin(data.cpu);
  const waker = data.wakesApart && placement !== undefined ? new PlacingWaker(placement) : undefined;
  if (waker !== undefined) {
    upcall.waker = waker;
    shared.useWaker(waker);
  }
  const handler = new IoHandler({
    vcpu: data.vcpu,
    slot,
    upcall,
    shared,
    handlers,
    completionPolling: data.completionPolling,
    spinUs: data.spinUs,
    waker,
  });
  let built: BuiltVcpu;
  try {
    built = await build({
      vcpu: data.vcpu,
      shared,
      handler,
      handlers,
      program: data.program,
      report: (report) => post({ kind: 'report', report }),
    });
  } catch (error) {
    const known = error instanceof UpcallError ? error : undefined;
    post({
      kind: 'failed',
      code: known?.code ?? 'THREAD_FAILED',
      message: error instanceof Error ? error.message : String(error),
      ...(known?.remedy === undefined ? {} : { remedy: known.remedy }),
    });
    thread.close();
    return;
  }
  // Only now: modules load and compile at full weight. An operator who pins threads decides which
  // of them share a CPU, so their niceness is left alone.
  if (data.cpu === undefined) lowerPriority(data.vcpuCount);
  post({ kind: 'ready', ...(built.memory === undefined ? {} : { memory: built.memory }) });
  runVcpu({
    vcpu: data.vcpu,
    shared,
    program: built.program,
    loadRegisters: () => registers.load(),
    report: (event) => post({ kind: 'event', event, start: shared.starts }),
    powerOffAfterFault: () => powerOffAfterFault(handler, shared, upcall),
    saved: (hold, state) => post({ kind: 'held', hold, state }),
  });
  thread.close();
}
