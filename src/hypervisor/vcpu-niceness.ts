/**
 * The niceness of vCPU threads, for a VM with more vCPUs than there are cores beside the Service
 * VM's thread.
 *
 * Every request waits for the one worker. If the scheduler gives each busy vCPU as much time as the
 * worker, the vCPUs spend theirs waiting for a worker that waits for a core. So the vCPUs of a VM
 * together weigh half as much as the cores beside the worker's. They still get their share beside
 * other programs, and the worker comes first. Linux only: elsewhere a priority is that of the
 * complete process.
 *
 * Called by: serveVcpu.
 */

import { host } from '../host/current.js';

/** A thread one step nicer weighs 1.25 times less (Linux, sched_prio_to_weight). */
const WEIGHT_STEP = 1.25;
export const MAX_NICENESS = 19;
/**
 * With the full weight of the cores the worker still loses its own at times. Measured with 2 to 16
 * vCPUs on two cores.
 */
const WEIGHT_OF_A_CORE = 0.5;

/** Steps, 0…19, for each thread of `vcpuCount` vCPUs on a machine with `cores`. */
export function vcpuNiceness(vcpuCount: number, cores: number): number {
  const free = Math.max(1, cores - 1);
  if (vcpuCount <= free) return 0;
  const steps = Math.round(Math.log(vcpuCount / (free * WEIGHT_OF_A_CORE)) / Math.log(WEIGHT_STEP));
  return Math.min(MAX_NICENESS, steps);
}

/**
 * In the vCPU's own thread. The niceness that the operator chose for the process stays the base.
 */
export function lowerPriority(vcpuCount: number): void {
  host.lowerPriority(vcpuNiceness(vcpuCount, host.cores));
}
