/**
 * The model of a plan: a Service VM, vCPUs, device threads and outsiders over the shipped code.
 * (Outsiders are the threads of outsider-actors.ts.)
 *
 * Called by: explore-main.ts and tests, which give it to the engine's `explore`.
 */

import { ports } from '../../hsm/address-range.js';
import { SLOT_BYTES, SLOT_COUNT, SLOT_OFFSET } from '../../io-request/layout.js';
import { OperationKind } from '../engine/machine/operation.js';
import type { Model, ThreadPlan } from '../engine/model.js';
import type { LocalState } from '../engine/search/learned-thread.js';
import { bufferId } from './buffer-id.js';
import { Invariants } from './invariants.js';
import { ACTOR, DEVICE_THREAD } from './program.js';
import type { ThreadRole } from './thread-role.js';
import { WordNames } from './word-names.js';
import { exitOf, firstPortOf, PORTS_OF_CLIENT, type VmHandles, type World, type WorldPlan } from './world.js';

/** A thread of the model and its part in it. */
interface Actor {
  readonly role: ThreadRole;
  readonly thread: ThreadPlan;
}

/** A world begins when everything is set up and the vCPUs start. */
export function acrnModel(plan: WorldPlan): Model<World> {
  const isHostile = plan.hostileWrites > 0;
  return {
    plan,
    shared: { module: ACTOR.WORLD, name: 'makeWorld', values: [plan] },
    parts: (world) => {
      const actors = actorsOf(plan, world);
      const roles = actors.map(({ role }) => role);
      const buffers = buffersOf(world);
      return {
        threads: actors.map(({ thread }) => thread),
        watcher: new Invariants({ plan, roles, ...buffers }),
        naming: (space) => new WordNames(world, space),
        isOwned: (thread, { buffer, index }) =>
          buffers.pageOf(buffer) >= 0 && ownsSlotWords(plan, roles[thread], index),
      };
    },
    safetyNetsFire: isHostile,
    // With a hostile writer, threads may have to poll forever.
    mayLoopForever: isHostile,
  };
}

function buffersOf({ vms }: World): { pageOf: (buffer: number) => number; stateWords: readonly number[] } {
  const pages = new Map(vms.map(({ page }, vm) => [bufferId(page), vm]));
  return { pageOf: (buffer) => pages.get(buffer) ?? -1, stateWords: vms.map(({ shared }) => bufferId(shared.words)) };
}

/**
 * The words of a slot beside its state belong to the slot's owner alone (invariant 2). A vCPU is
 * the only thread on its side. The Service VM is, unless a device's thread may finish requests. A
 * hostile writer obeys nothing.
 */
function ownsSlotWords(plan: WorldPlan, role: ThreadRole | undefined, index: number): boolean {
  if (plan.hostileWrites > 0 || index % (SLOT_BYTES >> 2) === SLOT_OFFSET.state >> 2) return false;
  return role?.kind === 'vcpu' || (role?.kind === 'service-vm' && !plan.clients.includes('thread'));
}

/**
 * Where a thread's own work begins: the event loop of the Service VM or of a device chooses its
 * next task, or the vCPU starts.
 */
const isAtLoop = ({ kind }: LocalState): boolean => kind === OperationKind.PICK;
const isAtStart = ({ kind, operation }: LocalState): boolean =>
  kind === OperationKind.NOTE && operation.names[0] === 'starts';

function actorsOf(plan: WorldPlan, world: World): Actor[] {
  const actors: Actor[] = [
    {
      role: { kind: 'service-vm' },
      thread: {
        name: 'Service VM',
        main: { module: ACTOR.SERVICE_VM, name: 'serviceVmActor', values: [world] },
        startsAt: isAtLoop,
      },
    },
  ];
  const ofVm = (vm: number): string => (plan.vmCount > 1 ? ` of VM ${vm}` : '');
  for (let vm = 0; vm < plan.vmCount; vm++)
    for (let vcpu = 0; vcpu < Math.min(plan.vcpuCount, SLOT_COUNT); vcpu++)
      actors.push({
        role: { kind: 'vcpu', vm, vcpu },
        thread: {
          name: `vCPU ${vcpu}${ofVm(vm)}`,
          main: { module: ACTOR.VCPU, name: 'vcpuActor', values: [world, vm, vcpu] },
          startsAt: isAtStart,
        },
      });
  for (let vm = 0; vm < plan.vmCount; vm++)
    plan.clients.forEach((answering, client) => {
      if (answering === 'thread') actors.push(deviceActor(plan, world, vm, client, ofVm(vm)));
    });
  const outsider = (name: string, kind: 'outsider' | 'hostile', entry: string, ...more: number[]): void => {
    const main = { module: ACTOR.OUTSIDERS, name: entry, values: [world, ...more] };
    actors.push({ role: { kind }, thread: { name, main } });
  };
  const numbered = (name: string, number: number, count: number): string => (count > 1 ? `${name} ${number}` : name);
  if (plan.spuriousUpcalls > 0)
    for (let ringer = 0; ringer < plan.ringers; ringer++)
      outsider(numbered('stray upcall', ringer, plan.ringers), 'outsider', 'upcallActor');
  if (plan.interrupts > 0)
    plan.sources.forEach((line, source) =>
      outsider(numbered('interrupt', source, plan.sources.length), 'outsider', 'interruptActor', line, source),
    );
  if (plan.hostileWrites > 0) outsider('scribbler', 'hostile', 'hostileActor');
  return actors;
}

function deviceActor(plan: WorldPlan, world: World, vm: number, client: number, ofVm: string): Actor {
  const { mailboxes, finishers } = world.vms[vm] as VmHandles;
  return {
    role: { kind: 'device', vm, client },
    thread: {
      name: `device ${client}${ofVm}`,
      main: { module: DEVICE_THREAD, name: 'main', values: [] },
      // The finisher exists only after the Service VM has set itself up.
      workerData: () => ({
        module: '',
        options: { vm, client },
        range: ports(firstPortOf(vm, client), PORTS_OF_CLIENT),
        mailbox: mailboxes[client],
        memory: {},
        finisher: finishers[client],
      }),
      startsAt: isAtLoop,
      mayDie: plan.threadsDie,
      exit: exitOf(plan, vm, client),
    },
  };
}
