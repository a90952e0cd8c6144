/**
 * The run loop of a vCPU in its thread: parked until the VM runs, slice after slice while it runs,
 * asleep while it is halted, parked again when the VM is paused, and ended when it is powered off.
 *
 * Called by: serveVcpu, for every hypervisor whose vCPUs are threads. A hypervisor brings its
 * VcpuProgram.
 * Threads: the vCPU's, which it blocks.
 */

import { errorText } from '../io-request/error-text.js';
import { OrderedPoll } from '../sync/poll.js';
import type { HypervisorEvent } from './hypervisor.js';
import { VcpuStopped } from './io-handler.js';
import type { MsiDelivery } from './msi-queue.js';
import type { SavedVcpu } from './saved-vcpu.js';
import type { VcpuRegisters } from './vcpu-registers.js';
import { VcpuCounter, VcpuState, VmState, type VmSharedState } from './vm-shared-state.js';

/** `run`'s result if only a reset can make the vCPU go on: halted with interrupts off. */
export const HALTED_FOREVER = -1;

export interface VcpuProgram {
  /**
   * Sets the power-on state of the CPU and its interrupt controllers, then `registers`. Called in
   * the vCPU's thread each time the VM starts to run. Must leave guest memory alone: it already
   * holds the guest.
   */
  start(registers: VcpuRegisters | undefined): void;
  /**
   * Runs one slice, of about a millisecond at most. Returns 0 to be called again at once, the
   * milliseconds until the next timer (Infinity without one) if the CPU is halted, or
   * HALTED_FOREVER. An interrupt ends a halt early. Throws VcpuStopped (through the I/O handler) or
   * TripleFault. Any other error is a crash of the hypervisor.
   */
  run(): number;
  /** The vCPU parks until the next `start`, or ends. */
  stop?(): void;
  /**
   * A message-signalled interrupt arrived, between two slices. Optional for a program that polls
   * `shared.msis` itself.
   */
  message?(kind: MsiDelivery, vector: number): void;
  /**
   * The vCPU's state between two slices, with every interrupt that has arrived. A program without
   * it cannot be saved.
   */
  save?(): SavedVcpu;
}

/** The guest's CPU shut down: an exception while delivering a double fault. */
export class TripleFault extends Error {
  override readonly name = 'TripleFault';
}

export interface VcpuLoopOptions {
  readonly vcpu: number;
  readonly shared: VmSharedState;
  readonly program: VcpuProgram;
  /** The registers that the Service VM set last, or undefined if it set none. */
  readonly loadRegisters: () => VcpuRegisters | undefined;
  readonly report: (event: HypervisorEvent) => void;
  /**
   * Makes a power-off of a triple fault (power-off.ts). Returns false if the fault must be
   * reported.
   */
  readonly powerOffAfterFault?: () => boolean;
  /** Posts the state of a vCPU that is held (VmSharedState.beginHold). */
  readonly saved?: (hold: number, state: SavedVcpu) => void;
}

/** Returns when the VM is powered off. Blocks the thread meanwhile. */
export function runVcpu(options: VcpuLoopOptions): void {
  const { vcpu, shared, program, loadRegisters, report, powerOffAfterFault } = options;
  const doorbell = shared.doorbell(vcpu);
  /**
   * The number of the VM's start (`shared.starts`) that this vCPU has run. A vCPU that ends before
   * the VM is paused, by a halt or a fault, parks until the next start.
   */
  let start = 0;
  const mayLeavePark = new OrderedPoll(() => {
    const state = shared.vmState;
    return state === VmState.POWERED_OFF || (state === VmState.RUNNING && shared.starts !== start);
  });
  const mayLeaveHalt = new OrderedPoll(
    () =>
      shared.lines.changed || shared.msis.any(vcpu) || shared.vmState !== VmState.RUNNING || (shared.hold & 1) !== 0,
  );
  const deliver = (kind: MsiDelivery, vector: number): void => program.message?.(kind, vector);
  for (;;) {
    shared.setVcpuState(vcpu, VcpuState.INIT);
    while (!doorbell.wait(mayLeavePark));
    if (shared.vmState === VmState.POWERED_OFF) break;
    // The pausing side stores PAUSED and then loads this word. This side stores it and then loads
    // the VM's state. So at least one of them sees the other's store.
    shared.setVcpuState(vcpu, VcpuState.RUNNING);
    if (shared.vmState !== VmState.RUNNING) continue;
    start = shared.starts;
    try {
      program.start(loadRegisters());
      while (shared.isRunning) {
        if (shared.msis.anyRelaxed(vcpu)) shared.msis.take(vcpu, deliver);
        if (shared.isHolding) {
          hold(options);
          continue;
        }
        const haltedMs = program.run();
        if (haltedMs === 0) continue;
        if (haltedMs === HALTED_FOREVER) {
          report({ kind: 'halted', vcpu, message: `vCPU ${vcpu} halted with interrupts off` });
          break;
        }
        shared.count(vcpu, VcpuCounter.halts);
        doorbell.wait(mayLeaveHalt, haltedMs);
      }
    } catch (error) {
      const isPoweredOff = error instanceof TripleFault && powerOffAfterFault?.() === true;
      if (!(error instanceof VcpuStopped) && !isPoweredOff) report(eventOf(vcpu, error));
    }
    program.stop?.();
  }
  shared.setVcpuState(vcpu, VcpuState.OFFLINE);
}

/** Between two slices, in a VM that is saved: posts the state and parks until it is released. */
function hold({ vcpu, shared, program, saved }: VcpuLoopOptions): void {
  const current = shared.hold;
  const mayGoOn = new OrderedPoll(() => shared.hold !== current || shared.vmState !== VmState.RUNNING);
  if (program.save !== undefined) saved?.(current, program.save());
  while (!shared.doorbell(vcpu).wait(mayGoOn));
}

function eventOf(vcpu: number, error: unknown): HypervisorEvent {
  if (error instanceof TripleFault) return { kind: 'triple-fault', vcpu, message: error.message };
  const { message, ...rest } = errorText(error);
  return { kind: 'crashed', vcpu, message: `vCPU ${vcpu} failed: ${message}`, ...rest };
}
