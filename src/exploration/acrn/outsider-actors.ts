/**
 * Threads beside the vCPUs and the Service VM: a spurious upcall, an interrupt source, and a thread
 * that overwrites a slot.
 *
 * Called by: the explorer, each as the main function of a thread (model.ts).
 */

import { Upcall } from '../../hypervisor/upcall.js';
import { VmSharedState } from '../../hypervisor/vm-shared-state.js';
import { SharedWords } from '../../sync/shared-words.js';
import { SLOT_OFFSET } from '../../io-request/layout.js';
import { IoRequestState } from '../../io-request/state.js';
import type { VmHandles, World } from './world.js';

/** Any number above the four states. */
const NOT_A_STATE = 77;

/** Raises upcalls for which there is no request. */
export function upcallActor(world: World): void {
  const upcall = new Upcall(world.upcall);
  for (let i = 0; i < world.plan.spuriousUpcalls; i++) upcall.raise();
}

/**
 * Lowers and raises a driver's output to a line of VM 0. Each leaves its output high, so the line
 * is high in the end, whatever the others do.
 */
export function interruptActor(world: World, line: number, driver: number): void {
  const { lines } = new VmSharedState((world.vms[0] as VmHandles).shared);
  for (let i = 0; i < world.plan.interrupts; i++) {
    lines.set(line, false, driver);
    lines.set(line, true, driver);
  }
}

/**
 * Overwrites the state of slot 0 of VM 0 `hostileWrites` times: with the four states in turn, then
 * with a number that is not a state. It rings no doorbell.
 */
export function hostileActor(world: World): void {
  const words = new SharedWords((world.vms[0] as VmHandles).page);
  const states = [
    IoRequestState.PENDING,
    IoRequestState.PROCESSING,
    IoRequestState.COMPLETE,
    IoRequestState.FREE,
    NOT_A_STATE,
  ];
  for (let i = 0; i < world.plan.hostileWrites; i++)
    words.store(SLOT_OFFSET.state >> 2, states[i % states.length] ?? 0);
}
