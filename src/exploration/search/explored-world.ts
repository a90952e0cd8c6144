/**
 * ExploredWorld: one configuration, ready to be searched: the shipped code and the actors rewritten and linked, one
 * thread for each of them, the state space and its invariants, at the moment when everything is set up and the vCPUs
 * start. Made anew for each search; loading is what takes time, so several can share a program.
 */

import type * as TypeScript from 'typescript';
import { SLOT_BYTES, SLOT_COUNT, SLOT_OFFSET } from '../../io-request/layout.js';
import type { CodeChange } from '../engine/change/code-change.js';
import { RewrittenModules } from '../code/rewritten-modules.js';
import { HeapFingerprint } from '../machine/heap-fingerprint.js';
import { OperationKind, wordOperation } from '../machine/operation.js';
import { Runtime } from '../machine/runtime.js';
import { keepsCallbacks } from '../machine/array-loops.js';
import type { SharedMemory } from '../machine/shared-memory.js';
import { ThreadLife } from '../machine/thread-life.js';
import { ports } from '../../hsm/address-range.js';
import { firstPortOf, PORTS_OF_CLIENT, type VmHandles, type World, type WorldPlan } from '../world/world.js';
import { Invariants } from './invariants.js';
import type { ThreadRole } from './thread-role.js';
import { LearnedThread, type Life } from './learned-thread.js';
import type { Bell } from './space-parts.js';
import { StateSpace } from './state-space.js';

const ACTORS = ['service-vm-actor', 'vcpu-actor', 'outsider-actors', 'explored-device', 'world'].map(
  (name) => `exploration/world/${name}`,
);
const DEVICE_THREAD = 'device-model/placement/device-thread';
const DEVICE_MODULE = 'device-model/placement/device-module';
const PROBE = 'exploration/world/probe';
/** Buffers of thread n have numbers from n times this; those of the world come first. */
const BUFFERS_PER_THREAD = 1000;
/** The words that tell of threads that have ended: no buffer of the program's. */
const EXITS = 99_999;

/** The rewritten code of one set of changes; worlds of any plan are made of it. */
export class ExploredProgram {
  readonly runtime = new Runtime();
  readonly modules: RewrittenModules;

  constructor(ts: typeof TypeScript, changes: readonly CodeChange[] = []) {
    const runtime = this.runtime;
    const probe = {
      *note(name: string, ...numbers: number[]) {
        yield { ...wordOperation(OperationKind.NOTE, -1, -1), names: [name], numbers };
      },
      offer: keepsCallbacks((name: string, task: unknown) => runtime.life?.addTask(name, task, [])),
      *threadEnd(device: number): Generator<unknown, unknown, number> {
        const wait = yield wordOperation(OperationKind.WAIT_ASYNC, EXITS, device, 0, Infinity);
        return runtime.life?.promiseOf(wait);
      },
    };
    const host = {
      startedThread: () => ({
        data: runtime.life?.workerData,
        keepAlive: () => undefined,
        close: () => undefined,
        post: ({ kind, message }: { kind?: string; message?: string }) => {
          if (kind === 'failed') throw new Error(`a device's thread could not begin: ${message}`);
        },
      }),
    };
    const deviceModule = {
      loadDevice: keepsCallbacks((_module: unknown, _context: unknown, options: unknown) =>
        runtime.callNow(this.actor('exploration/world/explored-device', 'exploredDevice'), [options]),
      ),
    };
    const replaced = new Map<string, Record<string, unknown>>([
      [PROBE, probe],
      ['host/current', { host }],
      [DEVICE_MODULE, deviceModule],
      // No actor uses the guest's memory.
      ['hypervisor/guest-memory', { GuestMemory: Object }],
    ]);
    this.modules = new RewrittenModules(ts, [...ACTORS, DEVICE_THREAD], runtime, replaced, changes);
  }

  actor(module: string, name: string): unknown {
    return this.modules.require(module)[name];
  }
}

export interface WorldOptions {
  /** Whether steps that nobody can notice are made at once. */
  readonly reduces?: boolean;
  /** Whether threads are learned; a search that goes back needs it, a single run is faster without. */
  readonly learns?: boolean;
  /** Doorbells that another world of this plan has come to know. */
  readonly bells?: readonly Bell[];
}

interface Actor {
  readonly name: string;
  readonly role: ThreadRole;
  readonly module: string;
  readonly entry: string;
  readonly values: readonly unknown[];
  readonly workerData?: () => unknown;
}

export class ExploredWorld {
  readonly plan: WorldPlan;
  readonly space: StateSpace;
  readonly roles: readonly ThreadRole[];
  readonly world: World;
  readonly #program: ExploredProgram;
  readonly #learns: boolean;
  readonly #reduces: boolean;
  /** One for all lives: it numbers the texts that it sees. */
  readonly #heap: HeapFingerprint;

  constructor(
    program: ExploredProgram,
    plan: WorldPlan,
    { reduces = true, learns = true, bells = [] }: WorldOptions = {},
  ) {
    this.plan = plan;
    this.#program = program;
    this.#learns = learns;
    this.#reduces = reduces;
    this.#heap = new HeapFingerprint((fn) => program.runtime.originOf(fn));
    this.world = this.#makeWorld();
    const actors = actorsOf(plan, this.world);
    this.roles = actors.map(({ role }) => role);
    const pages = new Map(this.world.vms.map(({ page }, vm) => [(page as unknown as SharedMemory).id, vm]));
    const stateWords = this.world.vms.map(({ shared }) => (shared.words as unknown as SharedMemory).id);
    const invariants: Invariants = new Invariants({
      plan,
      roles: this.roles,
      pageOf: (buffer) => pages.get(buffer) ?? -1,
      isRunning: (vm) => space.words[space.place(stateWords[vm] as number, 0)] === RUNNING,
    });
    const mortals = plan.threadsDie
      ? this.roles.reduce((bits, { kind }, thread) => (kind === 'device' ? bits | (1 << thread) : bits), 0)
      : 0;
    const space: StateSpace = (this.space = new StateSpace(
      {
        threadCount: actors.length,
        mortals,
        exitOf: (thread) => {
          const role = this.roles[thread];
          return role?.kind === 'device' ? { buffer: EXITS, index: role.client } : undefined;
        },
        netsFire: plan.hostileWrites > 0,
        isOwned: (thread, buffer, index) => pages.has(buffer) && this.#ownsSlotWords(thread, index),
      },
      invariants.wordCount,
    ));
    for (const bell of bells) space.addBell(bell);
    this.#setUp(actors, invariants);
  }

  /** The Service VM sets everything up alone; then each other thread comes to where its own work begins. */
  #setUp(actors: readonly Actor[], invariants: Invariants): void {
    const { space } = this;
    actors.forEach((actor, number) => {
      const begin = (): Life => this.#begin(actor, number);
      space.addThread(new LearnedThread(actor.name, begin, (operation) => space.placeOf(operation), this.#learns));
      if (actor.role.kind === 'service-vm' || actor.role.kind === 'device')
        space.runAlone(number, ({ kind }) => kind === OperationKind.PICK);
      else if (actor.role.kind === 'vcpu')
        space.runAlone(number, ({ kind, operation }) => kind === OperationKind.NOTE && operation.names[0] === 'starts');
    });
    space.reduces = this.#reduces;
    space.disarms = this.#learns;
    invariants.begin(space);
    space.watcher = invariants;
    space.uses.learn();
    space.state.forgetChanges();
  }

  /**
   * What the words of a slot beside its state hold is its owner's alone (invariant 2). A vCPU is the only thread on its
   * side; the Service VM is, if no device's thread may finish requests. A hostile writer obeys nothing.
   */
  #ownsSlotWords(thread: number, index: number): boolean {
    const { kind } = this.roles[thread] as ThreadRole;
    if (this.plan.hostileWrites > 0 || index % (SLOT_BYTES >> 2) === SLOT_OFFSET.state >> 2) return false;
    return kind === 'vcpu' || (kind === 'service-vm' && !this.plan.clients.includes('thread'));
  }

  #begin(actor: Actor, number: number): Life {
    const { runtime } = this.#program;
    const life = new ThreadLife(
      (number + 1) * BUFFERS_PER_THREAD,
      (fn, self, values) => runtime.invoke(fn, self, values),
      (fn, values) => runtime.callNow(fn, values),
    );
    life.workerData = actor.workerData?.();
    return {
      run: life.live(this.#program.actor(actor.module, actor.entry), actor.values),
      activate: () => {
        runtime.life = life;
      },
      fingerprint: () => this.#heap.take(life.roots),
    };
  }

  #makeWorld(): World {
    const { runtime } = this.#program;
    runtime.life = new ThreadLife(
      0,
      (fn, self, values) => runtime.invoke(fn, self, values),
      (fn, values) => runtime.callNow(fn, values),
    );
    return runtime.callNow(this.#program.actor('exploration/world/world', 'makeWorld'), [this.plan]) as World;
  }
}

/** VmState.RUNNING. */
const RUNNING = 2;

function actorsOf(plan: WorldPlan, world: World): Actor[] {
  const actors: Actor[] = [
    {
      name: 'Service VM',
      role: { kind: 'service-vm' },
      module: 'exploration/world/service-vm-actor',
      entry: 'serviceVmActor',
      values: [world],
    },
  ];
  const ofVm = (vm: number): string => (plan.vmCount > 1 ? ` of VM ${vm}` : '');
  for (let vm = 0; vm < plan.vmCount; vm++)
    for (let vcpu = 0; vcpu < Math.min(plan.vcpuCount, SLOT_COUNT); vcpu++)
      actors.push({
        name: `vCPU ${vcpu}${ofVm(vm)}`,
        role: { kind: 'vcpu', vm, vcpu },
        module: 'exploration/world/vcpu-actor',
        entry: 'vcpuActor',
        values: [world, vm, vcpu],
      });
  for (let vm = 0; vm < plan.vmCount; vm++)
    plan.clients.forEach((answering, client) => {
      if (answering !== 'thread') return;
      const { mailboxes, finishers } = world.vms[vm] as VmHandles;
      actors.push({
        name: `device ${client}${ofVm(vm)}`,
        role: { kind: 'device', vm, client },
        module: DEVICE_THREAD,
        entry: 'main',
        values: [],
        // It is there when the Service VM has set itself up.
        workerData: () => ({
          module: '',
          options: { vm, client },
          range: ports(firstPortOf(vm, client), PORTS_OF_CLIENT),
          mailbox: mailboxes[client],
          memory: {},
          finisher: finishers[client],
        }),
      });
    });
  const outsider = (name: string, kind: 'outsider' | 'hostile', entry: string): void => {
    actors.push({ name, role: { kind }, module: 'exploration/world/outsider-actors', entry, values: [world] });
  };
  if (plan.spuriousUpcalls > 0) outsider('stray upcall', 'outsider', 'upcallActor');
  if (plan.interrupts > 0) outsider('interrupt', 'outsider', 'interruptActor');
  if (plan.hostileWrites > 0) outsider('scribbler', 'hostile', 'hostileActor');
  return actors;
}
