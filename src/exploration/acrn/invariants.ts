/**
 * Invariants: the rules that hold in every schedule of the request path.
 *
 * Called by: the state space, for every access to a shared word and every note of an actor
 * (actor-notes.ts). It throws Violation at the access that breaks a rule.
 *
 * The rules compare what threads do to the slots with the actors' notes. Everything that a rule
 * remembers is in RequestNotes (request-notes.ts), in words of the state.
 *
 * 1. A request becomes COMPLETE exactly once, or is withdrawn by a reset. Every change of a slot's
 *    state (a move) is one of Slot's, by the side that makes it in ACRN.
 * 2. Only its owner touches the rest of a slot.
 * 3. The vCPU that asked gets the value that was there when its request became COMPLETE. That value
 *    is the notified client's, or one that a destruction, a time limit or a CLEAR puts there.
 * 4. A client is notified only of requests whose range it owns at that moment, of the request that
 *    the vCPU waits for, and of its own VM.
 * 5. A request is given to a client, or answered, in the next complete pass of the worker.
 * 6. When no thread can move, everything is answered and done. No vCPU sleeps while its answer is
 *    there.
 *
 * "Excused" is slot 0 of VM 0 in a plan with a hostile thread, which overwrites its state. The
 * rules are checked for all other slots only.
 */

import { VmState } from '../../hypervisor/vm-shared-state.js';
import { IoRequestState, stateName } from '../../io-request/state.js';
import type { Operation } from '../engine/machine/operation.js';
import type { ActorNote, ActorNotes } from './actor-notes.js';
import { answerOf, DEFAULT_CLIENT, partsOf, type WorldPlan } from './world.js';
import type { WatchedSpace, Watcher } from '../engine/search/space-parts.js';
import { Field, SlotWords } from './slot-words.js';
import type { ThreadRole } from './thread-role.js';
import { VcpuNote, VmNote, Phase, RequestNotes } from './request-notes.js';
import { Violation } from '../engine/search/violation.js';

/**
 * Passes that may begin while a request is PENDING: the one that it just missed (the worker had
 * scanned its slot already), and its own.
 */
const MAX_PASSES = 2;

export interface InvariantOptions {
  readonly plan: WorldPlan;
  readonly roles: readonly ThreadRole[];
  /** The VM whose page a buffer is, or −1 if it is not a page. */
  readonly pageOf: (buffer: number) => number;
  /** By VM: the buffer whose first word is the VM's state. */
  readonly stateWords: readonly number[];
}

export class Invariants implements Watcher {
  readonly #options: InvariantOptions;
  readonly #notes: RequestNotes;
  #words: SlotWords | undefined;
  /** Whether the plan has a hostile thread. */
  readonly #isHostile: boolean;

  /** What each note of an actor means. */
  readonly #rules: { readonly [Name in ActorNote]: (thread: number, ...numbers: ActorNotes[Name]) => void } = {
    starts: (_, vm, vcpu) => this.#notes.set(vm, vcpu, VcpuNote.HAS_ENDED, 0),
    asks: (_, vm, vcpu, port) => {
      this.#notes.set(vm, vcpu, VcpuNote.PORT, port);
      this.#notes.set(vm, vcpu, VcpuNote.CLIENT, 0);
    },
    got: (thread, vm, vcpu, port, value) => this.#got(thread, vm, vcpu, port, value),
    stopped: (thread, vm, vcpu) => {
      if (!this.#isHostile && this.#notes.get(vm, vcpu, VcpuNote.PHASE) === Phase.OPEN && this.#isRunning(vm))
        this.#fail(thread, `gives up its access although the VM runs`);
      this.#notes.set(vm, vcpu, VcpuNote.PORT, 0);
    },
    ends: (_, vm, vcpu) => this.#notes.set(vm, vcpu, VcpuNote.HAS_ENDED, 1),
    pass: (thread, vm) => this.#pass(thread, vm),
    notify: (thread, vm, client, vcpu, port) => this.#notified(thread, vm, client, vcpu, port),
    finished: (thread, vm, vcpu, ticket) => {
      if (this.#notes.get(vm, vcpu, VcpuNote.TICKET) === ticket)
        this.#fail(thread, `finishes ticket ${ticket} of slot ${vcpu} a second time`);
      this.#notes.set(vm, vcpu, VcpuNote.TICKET, ticket);
    },
    disconnected: (_, vm, client) => this.#notes.remove(vm, client),
    owns: (_, vm, range, owner) => this.#notes.setOwner(vm, range, owner),
    clearing: (_, vm, isBeginning) =>
      this.#notes.setVm(vm, VmNote.CLEARING, this.#notes.getVm(vm, VmNote.CLEARING) + (isBeginning === 1 ? 1 : -1)),
    destroying: (_, vm) => this.#notes.setVm(vm, VmNote.ENDING, 1),
    done: (_, act) => this.#notes.setDone(act),
    ready: () => undefined,
    reset: () => undefined,
    serves: () => undefined,
  };

  constructor(options: InvariantOptions) {
    this.#options = options;
    const { vmCount, vcpuCount, hostileWrites } = options.plan;
    this.#notes = new RequestNotes(vmCount, vcpuCount);
    this.#isHostile = hostileWrites > 0;
  }

  get wordCount(): number {
    return this.#notes.wordCount;
  }

  /** At the beginning each client has its own range: that with the client's number. */
  begin(space: WatchedSpace): void {
    this.#notes.space = space;
    const { plan, pageOf } = this.#options;
    this.#words = new SlotWords(space, plan.vcpuCount, pageOf);
    for (let vm = 0; vm < plan.vmCount; vm++)
      plan.clients.forEach((_, client) => this.#notes.setOwner(vm, client, client));
  }

  /** Rule 2. The state itself may be read by every thread. */
  read(thread: number, place: number): void {
    const at = this.#slots.at(place);
    if (at === undefined || at.field === Field.STATE || this.#isExcused(at.vm, at.vcpu)) return;
    const state = this.#slots.state(at.vm, at.vcpu);
    const isOurs = this.#roleOf(thread).kind === 'vcpu' ? !isWithServiceVm(state) : isWithServiceVm(state);
    if (!isOurs) this.#fail(thread, `reads word ${at.field} of slot ${at.vcpu}, which is ${stateName(state)}`);
  }

  /** Rule 1 for the state of a slot, rule 2 for its other words. */
  write(thread: number, place: number, from: number, to: number): void {
    const at = this.#slots.at(place);
    if (at === undefined || this.#isExcused(at.vm, at.vcpu)) return;
    if (at.field === Field.STATE) this.#moves(thread, at.vm, at.vcpu, from, to);
    else {
      const state = this.#slots.state(at.vm, at.vcpu);
      const role = this.#roleOf(thread);
      // At a reset the Service VM's thread acts as the hypervisor, which owns the slots that it
      // stamped FREE.
      const isStamped = state === IoRequestState.FREE && role.kind === 'service-vm' && !this.#isRunning(at.vm);
      const isOurs =
        role.kind === 'vcpu'
          ? state === IoRequestState.FREE && role.vcpu === at.vcpu && role.vm === at.vm
          : isWithServiceVm(state) || (isStamped && at.field === Field.POLLING);
      if (!isOurs) this.#fail(thread, `writes word ${at.field} of slot ${at.vcpu}, which is ${stateName(state)}`);
    }
  }

  /** Rules 3 to 5, and what the other rules need from the actors. */
  note(thread: number, { names, numbers }: Operation): void {
    const rule: (thread: number, ...numbers: number[]) => void = this.#rules[names[0] as ActorNote];
    rule(thread, ...numbers);
  }

  /** Rule 6. */
  end(): void {
    const { plan, roles } = this.#options;
    const space = this.#space;
    const acts = plan.acts.filter((_, act) => (this.#notes.done & (1 << act)) === 0);
    if (acts.length > 0) throw new Violation(`no thread can move, but this is not done: ${acts.join(', ')}`);
    roles.forEach((role, thread) => {
      if (
        role.kind !== 'vcpu' ||
        this.#notes.getVm(role.vm, VmNote.ENDING) !== 0 ||
        this.#isExcused(role.vm, role.vcpu)
      )
        return;
      const { vm, vcpu } = role;
      if (this.#notes.get(vm, vcpu, VcpuNote.HAS_ENDED) !== 0) return;
      const state = this.#slots.state(vm, vcpu);
      const name = space.nameOf(thread);
      if (this.#notes.get(vm, vcpu, VcpuNote.PORT) === 0)
        throw new Violation(`no thread can move, but ${name} has accesses left or waits for an interrupt`);
      if (state === IoRequestState.COMPLETE)
        throw new Violation(`${name} sleeps while its answer is there: a lost wake-up`);
      if (state === IoRequestState.PENDING)
        throw new Violation(`no thread can move, but the request of ${name} is PENDING: a lost upcall`);
      throw new Violation(`no thread can move, but the request of ${name} is ${stateName(state)}`);
    });
  }

  /** Rule 1: the state of a slot changes. */
  #moves(thread: number, vm: number, vcpu: number, from: number, to: number): void {
    const role = this.#roleOf(thread);
    const move = `${stateName(from)} → ${stateName(to)}`;
    const phase = this.#notes.get(vm, vcpu, VcpuNote.PHASE);
    const isVcpu = role.kind === 'vcpu' && role.vm === vm && role.vcpu === vcpu;
    const isService = role.kind === 'service-vm' || (role.kind === 'device' && role.vm === vm);
    if (from === IoRequestState.FREE && to === IoRequestState.PENDING && isVcpu) {
      if (phase !== Phase.NONE) this.#fail(thread, 'publishes a request while another is under way');
      this.#notes.set(vm, vcpu, VcpuNote.PHASE, Phase.OPEN);
      this.#notes.set(vm, vcpu, VcpuNote.FILLED, this.#slots.word(vm, vcpu, Field.VALUE));
      this.#notes.set(vm, vcpu, VcpuNote.PASSES, 0);
    } else if (from === IoRequestState.PENDING && to === IoRequestState.PROCESSING && isService) {
      this.#notes.set(vm, vcpu, VcpuNote.PASSES, 0);
    } else if (isWithServiceVm(from) && to === IoRequestState.COMPLETE && isService) {
      if (phase !== Phase.OPEN) this.#fail(thread, `completes slot ${vcpu} a second time`);
      this.#notes.set(vm, vcpu, VcpuNote.PHASE, Phase.COMPLETE);
      this.#notes.set(vm, vcpu, VcpuNote.PASSES, 0);
      this.#complete(thread, vm, vcpu);
    } else if (from === IoRequestState.COMPLETE && to === IoRequestState.FREE && isVcpu) {
      this.#notes.set(vm, vcpu, VcpuNote.PHASE, Phase.NONE);
    } else if (to === IoRequestState.FREE && role.kind === 'service-vm' && !this.#isRunning(vm)) {
      // A reset: the hypervisor stamps every slot FREE.
      this.#notes.set(vm, vcpu, VcpuNote.PHASE, Phase.NONE);
      this.#notes.set(vm, vcpu, VcpuNote.PASSES, 0);
    } else this.#fail(thread, `makes a move of slot ${vcpu} that is not its own: ${move}`);
  }

  /**
   * Rule 3: the value in a slot that becomes COMPLETE is the notified client's, or it is
   * - untouched: CLEAR and reset complete requests of no client or the default one as they are;
   * - forced: all ones, because the client was removed;
   * - ending: all ones, because the VM is being destroyed.
   */
  #complete(thread: number, vm: number, vcpu: number): void {
    const value = this.#slots.word(vm, vcpu, Field.VALUE);
    const port = this.#notes.get(vm, vcpu, VcpuNote.PORT);
    const client = this.#notes.get(vm, vcpu, VcpuNote.CLIENT) - 1;
    this.#notes.set(vm, vcpu, VcpuNote.VALUE, value);
    const isCleared = (client < 0 || client === DEFAULT_CLIENT) && this.#notes.getVm(vm, VmNote.CLEARING) !== 0;
    const isUntouched = isCleared && value === this.#notes.get(vm, vcpu, VcpuNote.FILLED);
    const isForced = value === -1 && client >= 0 && this.#notes.isRemoved(vm, client);
    const isEnding = value === -1 && this.#notes.getVm(vm, VmNote.ENDING) !== 0;
    if (isUntouched || isForced || isEnding || (client >= 0 && value === answerOf(client, port))) return;
    const expected =
      client < 0 ? 'no client was notified' : `client ${client} answers 0x${answerOf(client, port).toString(16)}`;
    this.#fail(thread, `completes slot ${vcpu} with 0x${(value >>> 0).toString(16)}, but ${expected}`);
  }

  /** Rule 3: the vCPU takes the value that was there at COMPLETE. */
  #got(thread: number, vm: number, vcpu: number, port: number, value: number): void {
    const expected = this.#notes.get(vm, vcpu, VcpuNote.VALUE);
    if (!this.#isExcused(vm, vcpu) && value !== expected)
      this.#fail(
        thread,
        `gets 0x${(value >>> 0).toString(16)} for port 0x${port.toString(16)}, answered was 0x${(expected >>> 0).toString(16)}`,
      );
    this.#notes.set(vm, vcpu, VcpuNote.PORT, 0);
    this.#notes.set(vm, vcpu, VcpuNote.CLIENT, 0);
    this.#notes.set(vm, vcpu, VcpuNote.VALUE, 0);
    this.#notes.set(vm, vcpu, VcpuNote.FILLED, 0);
  }

  /** Rule 4. */
  #notified(thread: number, vm: number, client: number, vcpu: number, port: number): void {
    if (this.#isExcused(vm, vcpu)) return;
    const parts = partsOf(port);
    const what = `is notified of port 0x${port.toString(16)} of vCPU ${vcpu}`;
    if (parts.vm !== vm) this.#fail(thread, `client ${client} of VM ${vm} ${what}, which is VM ${parts.vm}'s`);
    if (port !== this.#notes.get(vm, vcpu, VcpuNote.PORT))
      this.#fail(thread, `client ${client} ${what}, which does not wait for that`);
    const owner = this.#notes.owner(vm, parts.client);
    const expected = this.#notes.isRemoved(vm, owner) ? DEFAULT_CLIENT : owner;
    if (client !== expected) this.#fail(thread, `client ${client} ${what}, which is client ${expected}'s`);
    this.#notes.set(vm, vcpu, VcpuNote.CLIENT, client + 1);
  }

  /** Rule 5. */
  #pass(thread: number, vm: number): void {
    for (let vcpu = 0; vcpu < this.#options.plan.vcpuCount; vcpu++) {
      if (this.#slots.state(vm, vcpu) !== IoRequestState.PENDING || this.#isExcused(vm, vcpu)) continue;
      const passes = this.#notes.get(vm, vcpu, VcpuNote.PASSES) + 1;
      if (passes > MAX_PASSES) this.#fail(thread, `begins pass ${passes} over the PENDING slot ${vcpu}: it starves`);
      this.#notes.set(vm, vcpu, VcpuNote.PASSES, passes);
    }
  }

  /** See the head. The slot's vCPU must only stay alive. */
  #isExcused(vm: number, vcpu: number): boolean {
    return this.#isHostile && vm === 0 && vcpu === 0;
  }

  #fail(thread: number, text: string): never {
    throw new Violation(`${this.#space.nameOf(thread)} ${text}`);
  }

  get #space(): WatchedSpace {
    return this.#notes.space;
  }

  get #slots(): SlotWords {
    return this.#words as SlotWords;
  }

  #roleOf(thread: number): ThreadRole {
    return this.#options.roles[thread] as ThreadRole;
  }

  #isRunning(vm: number): boolean {
    const space = this.#space;
    return space.words[space.place(this.#options.stateWords[vm] as number, 0)] === VmState.RUNNING;
  }
}

function isWithServiceVm(state: number): boolean {
  return state === IoRequestState.PENDING || state === IoRequestState.PROCESSING;
}
