/**
 * Invariants: what must hold in every schedule of an explored world. It hears of every access to a shared word and of
 * what the actors note, keeps what it has to remember in words of the state space, and throws a Violation.
 *
 * 1. A request becomes COMPLETE exactly once, or is withdrawn by a reset; every move of a slot's state is one of Slot's,
 *    made by whom the document lets make it.
 * 2. Only its owner touches the rest of a slot.
 * 3. The vCPU that asked gets the value that was there when its request became COMPLETE, and that value is the one of the
 *    client that was notified, or one that a destruction, a time limit or a CLEAR puts there.
 * 4. A client is notified only of requests whose range it owns at that moment, of the request that the vCPU waits for,
 *    and of its own VM's.
 * 5. A request is given to a client, or answered, in the next whole pass of the worker.
 * 6. When nobody can move any more, everything was answered and done; no vCPU sleeps while its answer is there.
 */

import { IoRequestState, stateName } from '../../io-request/state.js';
import type { Operation } from '../machine/operation.js';
import { answerOf, DEFAULT_CLIENT, partsOf, type WorldPlan } from '../world/world.js';
import type { Watcher } from './space-parts.js';
import { Field, SlotWords } from './slot-words.js';
import type { StateSpace } from './state-space.js';
import type { ThreadRole } from './thread-role.js';
import { Of, OfVm, Phase, RequestNotes } from './request-notes.js';
import { Violation } from './violation.js';

/** Whole passes in which a request may still be PENDING at the beginning: one that it just missed, and one for it. */
const MAX_PASSES = 2;

export interface InvariantOptions {
  readonly plan: WorldPlan;
  readonly roles: readonly ThreadRole[];
  /** Which VM's page a buffer is; −1: none. */
  readonly pageOf: (buffer: number) => number;
  /** Whether VM `vm` runs, by its state word. */
  readonly isRunning: (vm: number) => boolean;
}

export class Invariants implements Watcher {
  readonly #options: InvariantOptions;
  readonly #notes: RequestNotes;
  #words: SlotWords | undefined;
  readonly #isHostile: boolean;

  constructor(options: InvariantOptions) {
    this.#options = options;
    const { vmCount, vcpuCount, hostileWrites } = options.plan;
    this.#notes = new RequestNotes(vmCount, vcpuCount);
    this.#isHostile = hostileWrites > 0;
  }

  get wordCount(): number {
    return this.#notes.wordCount;
  }

  /** At the beginning each client has its own range. */
  begin(space: StateSpace): void {
    this.#notes.space = space;
    const { plan, pageOf } = this.#options;
    this.#words = new SlotWords(space, plan.vcpuCount, pageOf);
    for (let vm = 0; vm < plan.vmCount; vm++)
      this.#notes.setVm(
        vm,
        OfVm.OWNERS,
        plan.clients.reduce((owners, _, client) => owners | (client << (4 * client)), 0),
      );
  }

  read(thread: number, place: number): void {
    const at = this.#slots.at(place);
    if (at === undefined || at.field === Field.STATE || this.#isExcused(at.vm, at.vcpu)) return;
    const state = this.#slots.state(at.vm, at.vcpu);
    const isOurs = this.#roleOf(thread).kind === 'vcpu' ? !isWithServiceVm(state) : isWithServiceVm(state);
    if (!isOurs) this.#fail(thread, `reads word ${at.field} of slot ${at.vcpu}, which is ${stateName(state)}`);
  }

  write(thread: number, place: number, from: number, to: number): void {
    const at = this.#slots.at(place);
    if (at === undefined || this.#isExcused(at.vm, at.vcpu)) return;
    if (at.field === Field.STATE) this.#moves(thread, at.vm, at.vcpu, from, to);
    else {
      const state = this.#slots.state(at.vm, at.vcpu);
      const role = this.#roleOf(thread);
      // At a reset the hypervisor, for whom the Service VM's thread works then, has the slots that it stamped FREE.
      const isStamped = state === IoRequestState.FREE && role.kind === 'service-vm' && !this.#isRunning(at.vm);
      const isOurs =
        role.kind === 'vcpu'
          ? state === IoRequestState.FREE && role.vcpu === at.vcpu && role.vm === at.vm
          : isWithServiceVm(state) || (isStamped && at.field === Field.POLLING);
      if (!isOurs) this.#fail(thread, `writes word ${at.field} of slot ${at.vcpu}, which is ${stateName(state)}`);
    }
  }

  note(thread: number, { names, numbers }: Operation): void {
    const [vm = 0, a = 0, b = 0, c = 0] = numbers;
    switch (names[0]) {
      case 'asks':
        this.#notes.set(vm, a, Of.PORT, b);
        this.#notes.set(vm, a, Of.CLIENT, 0);
        break;
      case 'got':
        this.#got(thread, vm, a, b, c);
        break;
      case 'stopped':
        if (!this.#isHostile && this.#notes.get(vm, a, Of.PHASE) === Phase.OPEN && this.#isRunning(vm))
          this.#fail(thread, `gives up its access although the VM runs`);
        this.#notes.set(vm, a, Of.PORT, 0);
        break;
      case 'notify':
        this.#notified(thread, vm, a, b, c);
        break;
      case 'finished':
        if (this.#notes.get(vm, a, Of.TICKET) === b)
          this.#fail(thread, `finishes ticket ${b} of slot ${a} a second time`);
        this.#notes.set(vm, a, Of.TICKET, b);
        break;
      case 'pass':
        this.#pass(thread, vm);
        break;
      case 'disconnected':
        this.#notes.setVm(vm, OfVm.GONE, this.#notes.getVm(vm, OfVm.GONE) | (1 << a));
        break;
      case 'owns':
        this.#notes.setVm(vm, OfVm.OWNERS, (this.#notes.getVm(vm, OfVm.OWNERS) & ~(15 << (4 * a))) | (b << (4 * a)));
        break;
      case 'clearing':
        this.#notes.setVm(vm, OfVm.CLEARING, this.#notes.getVm(vm, OfVm.CLEARING) + (a === 1 ? 1 : -1));
        break;
      case 'destroying':
        this.#notes.setVm(vm, OfVm.ENDING, 1);
        break;
      case 'starts':
        this.#notes.set(vm, a, Of.HAS_ENDED, 0);
        break;
      case 'ends':
        this.#notes.set(vm, a, Of.HAS_ENDED, 1);
        break;
      case 'done':
        this.#notes.setDone(vm);
    }
  }

  end(): void {
    const { plan, roles } = this.#options;
    const space = this.#space;
    const acts = plan.acts.filter((_, act) => (this.#notes.done & (1 << act)) === 0);
    if (acts.length > 0) throw new Violation(`everybody sleeps, but this is not done: ${acts.join(', ')}`);
    roles.forEach((role, thread) => {
      if (role.kind !== 'vcpu' || this.#notes.getVm(role.vm, OfVm.ENDING) !== 0 || this.#isExcused(role.vm, role.vcpu))
        return;
      const { vm, vcpu } = role;
      if (this.#notes.get(vm, vcpu, Of.HAS_ENDED) !== 0) return;
      const state = this.#slots.state(vm, vcpu);
      const name = space.threads[thread]?.name ?? '';
      if (this.#notes.get(vm, vcpu, Of.PORT) === 0)
        throw new Violation(`everybody sleeps, but ${name} has accesses left or waits for an interrupt`);
      if (state === IoRequestState.COMPLETE)
        throw new Violation(`${name} sleeps while its answer is there: a lost wake-up`);
      if (state === IoRequestState.PENDING)
        throw new Violation(`everybody sleeps, but the request of ${name} is PENDING: a lost upcall`);
      throw new Violation(`everybody sleeps, but the request of ${name} is ${stateName(state)}`);
    });
  }

  #moves(thread: number, vm: number, vcpu: number, from: number, to: number): void {
    const role = this.#roleOf(thread);
    const move = `${stateName(from)} → ${stateName(to)}`;
    const phase = this.#notes.get(vm, vcpu, Of.PHASE);
    const isVcpu = role.kind === 'vcpu' && role.vm === vm && role.vcpu === vcpu;
    const isService = role.kind === 'service-vm' || (role.kind === 'device' && role.vm === vm);
    if (from === IoRequestState.FREE && to === IoRequestState.PENDING && isVcpu) {
      if (phase !== Phase.NONE) this.#fail(thread, 'publishes a request while another is under way');
      this.#notes.set(vm, vcpu, Of.PHASE, Phase.OPEN);
      this.#notes.set(vm, vcpu, Of.FILLED, this.#slots.word(vm, vcpu, Field.VALUE));
      this.#notes.set(vm, vcpu, Of.PASSES, 0);
    } else if (from === IoRequestState.PENDING && to === IoRequestState.PROCESSING && isService) {
      this.#notes.set(vm, vcpu, Of.PASSES, 0);
    } else if (isWithServiceVm(from) && to === IoRequestState.COMPLETE && isService) {
      if (phase !== Phase.OPEN) this.#fail(thread, `completes slot ${vcpu} a second time`);
      this.#notes.set(vm, vcpu, Of.PHASE, Phase.COMPLETE);
      this.#notes.set(vm, vcpu, Of.PASSES, 0);
      this.#complete(thread, vm, vcpu);
    } else if (from === IoRequestState.COMPLETE && to === IoRequestState.FREE && isVcpu) {
      this.#notes.set(vm, vcpu, Of.PHASE, Phase.NONE);
    } else if (to === IoRequestState.FREE && role.kind === 'service-vm' && !this.#isRunning(vm)) {
      // The hypervisor's stamp at a reset; a thread that is about to finish the request would write into the next one.
      this.#notes.set(vm, vcpu, Of.PHASE, Phase.NONE);
      this.#notes.set(vm, vcpu, Of.PASSES, 0);
    } else this.#fail(thread, `makes a move of slot ${vcpu} that is not its own: ${move}`);
  }

  /** The value in a slot that becomes COMPLETE must be somebody's. */
  #complete(thread: number, vm: number, vcpu: number): void {
    const value = this.#slots.word(vm, vcpu, Field.VALUE);
    const port = this.#notes.get(vm, vcpu, Of.PORT);
    const client = this.#notes.get(vm, vcpu, Of.CLIENT) - 1;
    this.#notes.set(vm, vcpu, Of.VALUE, value);
    const isCleared = (client < 0 || client === DEFAULT_CLIENT) && this.#notes.getVm(vm, OfVm.CLEARING) !== 0;
    const isUntouched = isCleared && value === this.#notes.get(vm, vcpu, Of.FILLED);
    const isForced = value === -1 && client >= 0 && (this.#notes.getVm(vm, OfVm.GONE) & (1 << client)) !== 0;
    const isEnding = value === -1 && this.#notes.getVm(vm, OfVm.ENDING) !== 0;
    if (isUntouched || isForced || isEnding || (client >= 0 && value === answerOf(client, port))) return;
    const expected =
      client < 0 ? 'nobody was notified' : `client ${client} answers 0x${answerOf(client, port).toString(16)}`;
    this.#fail(thread, `completes slot ${vcpu} with 0x${(value >>> 0).toString(16)}, but ${expected}`);
  }

  #got(thread: number, vm: number, vcpu: number, port: number, value: number): void {
    const expected = this.#notes.get(vm, vcpu, Of.VALUE);
    if (!this.#isExcused(vm, vcpu) && value !== expected)
      this.#fail(
        thread,
        `gets 0x${(value >>> 0).toString(16)} for port 0x${port.toString(16)}, answered was 0x${(expected >>> 0).toString(16)}`,
      );
    this.#notes.set(vm, vcpu, Of.PORT, 0);
    this.#notes.set(vm, vcpu, Of.CLIENT, 0);
    this.#notes.set(vm, vcpu, Of.VALUE, 0);
    this.#notes.set(vm, vcpu, Of.FILLED, 0);
  }

  #notified(thread: number, vm: number, client: number, vcpu: number, port: number): void {
    if (this.#isExcused(vm, vcpu)) return;
    const parts = partsOf(port);
    const what = `is notified of port 0x${port.toString(16)} of vCPU ${vcpu}`;
    if (parts.vm !== vm) this.#fail(thread, `client ${client} of VM ${vm} ${what}, which is VM ${parts.vm}'s`);
    if (port !== this.#notes.get(vm, vcpu, Of.PORT))
      this.#fail(thread, `client ${client} ${what}, which does not wait for that`);
    const owner = (this.#notes.getVm(vm, OfVm.OWNERS) >> (4 * parts.client)) & 15;
    const isGone = (this.#notes.getVm(vm, OfVm.GONE) & (1 << owner)) !== 0;
    const expected = isGone ? DEFAULT_CLIENT : owner;
    if (client !== expected) this.#fail(thread, `client ${client} ${what}, which is client ${expected}'s`);
    this.#notes.set(vm, vcpu, Of.CLIENT, client + 1);
  }

  #pass(thread: number, vm: number): void {
    for (let vcpu = 0; vcpu < this.#options.plan.vcpuCount; vcpu++) {
      if (this.#slots.state(vm, vcpu) !== IoRequestState.PENDING || this.#isExcused(vm, vcpu)) continue;
      const passes = this.#notes.get(vm, vcpu, Of.PASSES) + 1;
      if (passes > MAX_PASSES) this.#fail(thread, `begins pass ${passes} over the PENDING slot ${vcpu}: it starves`);
      this.#notes.set(vm, vcpu, Of.PASSES, passes);
    }
  }

  /** The slot that others write over: of its vCPU only its life is expected. */
  #isExcused(vm: number, vcpu: number): boolean {
    return this.#isHostile && vm === 0 && vcpu === 0;
  }

  #fail(thread: number, text: string): never {
    throw new Violation(`${this.#space.threads[thread]?.name} ${text}`);
  }

  get #space(): StateSpace {
    return this.#notes.space;
  }

  get #slots(): SlotWords {
    return this.#words as SlotWords;
  }

  #roleOf(thread: number): ThreadRole {
    return this.#options.roles[thread] as ThreadRole;
  }

  #isRunning(vm: number): boolean {
    return this.#options.isRunning(vm);
  }
}

function isWithServiceVm(state: number): boolean {
  return state === IoRequestState.PENDING || state === IoRequestState.PROCESSING;
}
