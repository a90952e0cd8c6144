/**
 * Configurations: the worlds that are searched, each by its plan: small machines of VMs, vCPUs,
 * clients and acts of the operator (world.ts). Each has a slice: a smaller plan, which `npm test`
 * searches in seconds. `large` has none: it is too large for a complete search, and has random
 * schedules only.
 *
 * Called by: explore-main.ts and the tests; parse-world-plan.ts and the seeded defects, for
 * SMALLEST.
 */

import type { WorldPlan } from './world.js';

export interface Configuration {
  readonly name: string;
  readonly summary: string;
  readonly plan: WorldPlan;
  /** The differences of the slice from the plan. Empty if `isForRandom`. */
  readonly slice: Partial<WorldPlan>;
  /** Too large for a complete search: only for random schedules. */
  readonly isForRandom?: boolean;
}

/** One vCPU, one access, and one client that answers at once. */
export const SMALLEST: WorldPlan = {
  vmCount: 1,
  vcpuCount: 1,
  requests: 1,
  isPolling: false,
  clients: ['at-once'],
  acts: [],
  spuriousUpcalls: 0,
  ringers: 1,
  interrupts: 0,
  sources: [4],
  hostileWrites: 0,
  hasTimeLimit: false,
  threadsDie: false,
};

/** Two vCPUs, a client that answers in `notify` and one that answers in a later turn. */
const TWO: WorldPlan = { ...SMALLEST, vcpuCount: 2, requests: 3, clients: ['at-once', 'later'] };
// For slices. Some also let the vCPUs poll: those have fewer states than parking ones.
const ONE_REQUEST = { requests: 1 };
const ONE_VCPU = { vcpuCount: 1, requests: 2 };
const ONE_OF_EACH = { vcpuCount: 1, requests: 1 };

export const CONFIGURATIONS: readonly Configuration[] = [
  { name: 'requests', summary: 'only requests', plan: TWO, slice: ONE_REQUEST },
  { name: 'polling', summary: 'the vCPUs poll for completion', plan: { ...TWO, isPolling: true }, slice: ONE_REQUEST },
  {
    name: 'destroy-client',
    summary: 'a client is destroyed at any moment',
    plan: { ...TWO, acts: ['destroy-client'] },
    slice: ONE_VCPU,
  },
  {
    name: 'reset',
    summary: 'the VM is reset at any moment',
    plan: { ...TWO, acts: ['reset'] },
    slice: ONE_OF_EACH,
  },
  { name: 'clear', summary: 'CLEAR at any moment', plan: { ...TWO, acts: ['clear'] }, slice: ONE_VCPU },
  {
    name: 'move-range',
    summary: 'a range is moved to another client at any moment',
    plan: { ...TWO, acts: ['move-range'] },
    slice: ONE_VCPU,
  },
  {
    name: 'stray-upcall',
    summary: 'a spurious upcall',
    plan: { ...TWO, spuriousUpcalls: 1 },
    slice: ONE_VCPU,
  },
  {
    name: 'two-ringers',
    summary: 'two threads raise spurious upcalls',
    plan: { ...TWO, requests: 2, spuriousUpcalls: 1, ringers: 2 },
    slice: ONE_OF_EACH,
  },
  {
    name: 'pause-worker',
    summary: 'the worker is paused and resumed at any moment',
    plan: { ...TWO, acts: ['pause-worker'] },
    slice: ONE_VCPU,
  },
  {
    name: 'destroy-vm',
    summary: 'the VM is destroyed at any moment',
    plan: { ...TWO, acts: ['destroy-vm'] },
    slice: ONE_OF_EACH,
  },
  {
    name: 'time-limit',
    summary: 'a client may overrun its time at any moment, and another never answers',
    plan: { ...TWO, clients: ['later', 'never'], hasTimeLimit: true },
    slice: ONE_VCPU,
  },
  {
    name: 'interrupt',
    summary: 'a vCPU halts until an interrupt arrives',
    plan: { ...TWO, interrupts: 2 },
    slice: ONE_VCPU,
  },
  {
    name: 'two-setters',
    summary: 'two drivers share an interrupt line',
    plan: { ...TWO, vcpuCount: 1, requests: 1, interrupts: 2, sources: [4, 4] },
    slice: { requests: 0 },
  },
  {
    name: 'two-lines',
    summary: 'two drivers have an interrupt line each',
    plan: { ...TWO, vcpuCount: 1, requests: 1, interrupts: 2, sources: [4, 5] },
    slice: { requests: 0, interrupts: 1 },
  },
  {
    name: 'two-vms',
    summary: 'two VMs under one worker',
    plan: { ...TWO, vmCount: 2, vcpuCount: 1 },
    slice: ONE_REQUEST,
  },
  {
    name: 'device-thread',
    summary: 'a client that answers from a thread of its own',
    plan: { ...TWO, clients: ['at-once', 'thread'] },
    slice: { ...ONE_OF_EACH, clients: ['thread'] },
  },
  {
    name: 'device-dies',
    summary: 'the thread of a client ends at any moment',
    plan: { ...TWO, requests: 2, clients: ['at-once', 'thread'], threadsDie: true },
    slice: { ...ONE_OF_EACH, clients: ['thread'] },
  },
  {
    name: 'device-reset',
    summary: 'a reset while a device answers from a thread of its own',
    plan: { ...TWO, vcpuCount: 1, requests: 2, clients: ['thread'], acts: ['reset'] },
    slice: { requests: 1, isPolling: true },
  },
  {
    name: 'device-destroyed',
    summary: 'a client with a thread is destroyed at any moment',
    plan: { ...TWO, requests: 1, clients: ['thread', 'later'], acts: ['destroy-client'] },
    slice: { ...ONE_OF_EACH, clients: ['thread'] },
  },
  {
    name: 'hostile',
    summary: 'a thread overwrites the state of slot 0; the other vCPU must not notice',
    plan: { ...TWO, requests: 2, hostileWrites: 2 },
    slice: { requests: 1, hostileWrites: 1, clients: ['at-once'], isPolling: true },
  },
  {
    name: 'large',
    summary: 'many things at once, for random schedules only',
    plan: {
      vmCount: 2,
      vcpuCount: 4,
      requests: 6,
      isPolling: false,
      clients: ['later', 'at-once', 'thread', 'later'],
      acts: ['destroy-client', 'move-range', 'clear', 'pause-worker', 'reset'],
      spuriousUpcalls: 3,
      ringers: 2,
      interrupts: 3,
      sources: [4, 4, 5],
      hostileWrites: 0,
      hasTimeLimit: false,
      threadsDie: true,
    },
    slice: {},
    isForRandom: true,
  },
];

/** A configuration's plan, or its slice. */
export function planOf({ plan, slice }: Configuration, isSlice: boolean): WorldPlan {
  return isSlice ? { ...plan, ...slice } : plan;
}
