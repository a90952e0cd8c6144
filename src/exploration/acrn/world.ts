/**
 * World: what the actors of one explored configuration share, as plain data and shared memory,
 * which threads can receive. An actor is the main function of an explored thread
 * (service-vm-actor.ts, vcpu-actor.ts, outsider-actors.ts). Actors are ordinary code over the
 * shipped classes, and the explorer rewrites them together with those.
 *
 * Called by: the explorer, for `makeWorld` (model.ts); the actors, model.ts and invariants.ts.
 */

import type { ClientFinisher } from '../../hsm/request-finisher.js';
import { DeviceMailbox } from '../../device-model/placement/device-mailbox.js';
import { Upcall } from '../../hypervisor/upcall.js';
import { VmSharedState, type VmSharedStateHandle } from '../../hypervisor/vm-shared-state.js';
import { PAGE_BYTES } from '../../io-request/layout.js';

/**
 * How a client answers: in `notify`, in a later turn of its loop, from a thread of its own, or
 * never.
 */
export type Answering = 'at-once' | 'later' | 'thread' | 'never';

/** What the Service VM's operator does, each once and at any moment. */
export type OperatorAct =
  /** Client 0, the oldest, is removed. */
  | 'destroy-client'
  /** The last client gives its range to client 0. */
  | 'move-range'
  | 'clear'
  /** As UserVm does it: pause, CLEAR, withdraw, reset, start. */
  | 'reset'
  | 'pause-worker'
  /** As UserVm ends a VM: pause, finish everything, destroy. */
  | 'destroy-vm';

/** The parameters of a configuration. */
export interface WorldPlan {
  readonly vmCount: number;
  /** Of each VM. */
  readonly vcpuCount: number;
  /** Accesses that each vCPU makes, to the clients in turn. */
  readonly requests: number;
  /** Whether vCPUs poll for completion, instead of parking until a hypercall wakes them. */
  readonly isPolling: boolean;
  /**
   * The clients of each VM, oldest first. Each VM also has a default client, which answers at once.
   */
  readonly clients: readonly Answering[];
  readonly acts: readonly OperatorAct[];
  /** Upcalls without a request, of each thread that raises them. */
  readonly spuriousUpcalls: number;
  /** Threads that raise such upcalls. */
  readonly ringers: number;
  /**
   * Times that each interrupt source lowers and raises its line. After its accesses, vCPU 0 of VM 0
   * halts until every line is high.
   */
  readonly interrupts: number;
  /** The line of each source. */
  readonly sources: readonly number[];
  /** Writes of a hostile thread to the state of slot 0 of VM 0. */
  readonly hostileWrites: number;
  /** Whether a client may exceed its time at any moment. */
  readonly hasTimeLimit: boolean;
  /** Whether the threads of devices may die at any moment. */
  readonly threadsDie: boolean;
}

/** The shared memory of one VM. */
export interface VmHandles {
  readonly page: SharedArrayBuffer;
  readonly shared: VmSharedStateHandle;
  /** For each client. Only those with a thread use theirs. */
  readonly mailboxes: readonly SharedArrayBuffer[];
  /** For each client with a thread, once it is connected. */
  readonly finishers: (ClientFinisher | undefined)[];
}

export interface World {
  readonly plan: WorldPlan;
  readonly upcall: SharedArrayBuffer;
  readonly vms: readonly VmHandles[];
}

export function makeWorld(plan: WorldPlan): World {
  const vms: VmHandles[] = [];
  for (let vm = 0; vm < plan.vmCount; vm++)
    vms.push({
      page: new SharedArrayBuffer(PAGE_BYTES),
      shared: new VmSharedState().handle,
      mailboxes: Array.from(plan.clients, () => new DeviceMailbox().buffer),
      finishers: Array.from(plan.clients, () => undefined),
    });
  return { plan, upcall: new Upcall().buffer, vms };
}

/**
 * The number of the default client. Plans have fewer clients, and it fits into the 4 bits that
 * request-notes.ts has for an owner.
 */
export const DEFAULT_CLIENT = 7;

/** The exit number of a device's thread (ThreadPlan.exit). */
export function exitOf({ clients }: WorldPlan, vm: number, client: number): number {
  return vm * clients.length + client;
}

// Each access of a world has a port of its own, so that a port names its VM, vCPU and access. The
// numbers of ports of a VM, of one of its clients, and of one vCPU at a client:

const FIRST_PORT = 0x100;
const VM_PORTS = 0x400;
const CLIENT_PORTS = 0x80;
const VCPU_PORTS = 0x20;
const ACCESS_BYTES = 4;

/** The ports that client `client` of VM `vm` has at first. */
export function firstPortOf(vm: number, client: number): number {
  return FIRST_PORT + vm * VM_PORTS + client * CLIENT_PORTS;
}

export const PORTS_OF_CLIENT = CLIENT_PORTS;

/** The port of an access. Each access of the world has its own. */
export function portOf(vm: number, client: number, vcpu: number, access: number): number {
  return firstPortOf(vm, client) + vcpu * VCPU_PORTS + access * ACCESS_BYTES;
}

/**
 * The inverse of `portOf`: VM, client that has the port at first, vCPU and number of the access.
 */
export function partsOf(port: number): { vm: number; client: number; vcpu: number; access: number } {
  const offset = port - FIRST_PORT;
  return {
    vm: Math.floor(offset / VM_PORTS),
    client: Math.floor((offset % VM_PORTS) / CLIENT_PORTS),
    vcpu: Math.floor((offset % CLIENT_PORTS) / VCPU_PORTS),
    access: (offset % VCPU_PORTS) / ACCESS_BYTES,
  };
}

/**
 * The answer of client `client` to a read of `port`. It differs for each pair of a client and a
 * port.
 */
export function answerOf(client: number, port: number): number {
  return ((client + 1) << 16) | port;
}
