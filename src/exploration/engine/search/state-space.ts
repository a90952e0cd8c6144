/**
 * StateSpace: a complete explored world as one array of numbers, and the moves that lead on from
 * each state. The numbers are where each thread stands, which thread sleeps on which word, what the
 * watcher remembers, and every shared word that is used.
 *
 * Reduction: a step that no other thread can notice (on a word that no other thread writes, or that
 * only this thread uses) is made together with the step before it. Steps of other threads are tried
 * only around both. See word-uses.ts.
 */

import {
  NOT_ASYNC,
  OperationKind,
  TIMED_OUT,
  WaitResult,
  WOKEN,
  storedBy,
  type Operation,
} from '../machine/operation.js';
import { EventCounts } from './event-counts.js';
import { MixedAccesses } from './mixed-accesses.js';
import { StateWords } from './state-words.js';
import type { LearnedThread, LocalState } from './learned-thread.js';
import { DIES, packMove } from './move.js';
import { Sleepers, WAITS } from './sleepers.js';
import {
  ANY_THREAD,
  type EventCount,
  type SpaceOptions,
  type StepListener,
  type WatchedSpace,
  type Watcher,
  type WordAddress,
} from './space-parts.js';
import { Violation } from './violation.js';
import { WaitedWords } from './waited-words.js';
import { WordPlaces } from './word-places.js';
import { WordUses } from './word-uses.js';

const MAX_PRIVATE_STEPS = 20_000;

export class StateSpace implements WatchedSpace {
  readonly state = new StateWords();
  readonly words = this.state.words;
  readonly uses = new WordUses();
  readonly sleepers: Sleepers;
  readonly threads: LearnedThread[] = [];
  /** The watcher's first word. */
  readonly notes: number;
  onStep: StepListener | undefined;
  /** Operations made, with the private ones. */
  operations = 0;
  watcher: Watcher | undefined;
  /** Whether private steps are made with the step before, and a loop's own choices alone. */
  reduces = true;
  /** Whether a waiter's write means that it will not wait. If not, the search begins again. */
  disarms = false;
  readonly accesses = new MixedAccesses((thread) => this.nameOf(thread));
  readonly #eventCounts: EventCounts;
  readonly #waited: WaitedWords;
  readonly #options: SpaceOptions;
  readonly #places: WordPlaces;

  constructor(options: SpaceOptions, wordCount: number) {
    this.#options = options;
    this.sleepers = new Sleepers(this.state, options.threadCount, options.safetyNetsFire);
    // For each thread its local state, then the words of Sleepers.
    this.notes = options.threadCount * (2 + WAITS);
    this.#places = new WordPlaces(this.notes + wordCount, (place, word) => {
      for (let thread = 0; thread < options.threadCount; thread++)
        if (options.isOwned(thread, word)) this.uses.own(thread, place);
    });
    this.#eventCounts = new EventCounts(this);
    this.#waited = new WaitedWords(this);
  }

  addressAt(place: number): WordAddress | undefined {
    return this.#places.addressAt(place);
  }

  nameOf(thread: number): string {
    return this.threads[thread]?.name ?? `thread ${thread}`;
  }

  isDead(thread: number): boolean {
    return this.sleepers.isDead(thread);
  }

  /** The place of an operation's word. −1: it is about no word. */
  placeOf(operation: Operation): number {
    return operation.buffer < 0 ? -1 : this.place(operation.buffer, operation.index);
  }

  place(buffer: number, index: number): number {
    return this.#places.place(buffer, index);
  }

  /** Those that are known. They are held differently from other words, so a run depends on them. */
  get eventCounts(): readonly EventCount[] {
    return this.#places.addresses.flatMap(({ buffer, index }) => {
      const place = this.place(buffer, index);
      const thread = this.uses.isOrdinary(place) ? ANY_THREAD : this.uses.waiterOf(place);
      return thread === undefined ? [] : [{ buffer, index, thread }];
    });
  }

  addEventCount({ buffer, index, thread }: EventCount): void {
    if (thread === ANY_THREAD) this.uses.makeOrdinary(this.place(buffer, index));
    else this.uses.addWaiter(thread, this.place(buffer, index));
  }

  /** Threads come in the order of their numbers. The thread stands at its first operation. */
  addThread(thread: LearnedThread): void {
    this.threads.push(thread);
    this.#noteUse(this.threads.length - 1);
  }

  set(at: number, value: number): void {
    this.state.set(at, value);
  }

  at(thread: number): LocalState {
    return this.threads[thread]?.states[this.words[thread] as number] as LocalState;
  }

  /** Runs one thread alone up to an operation for which `isEnd` is true. */
  runAlone(thread: number, isEnd: (state: LocalState) => boolean): void {
    for (let steps = 0; !isEnd(this.at(thread)); steps++) {
      if (steps > MAX_PRIVATE_STEPS)
        throw new Violation(`${this.nameOf(thread)} does not come to where its work begins`);
      this.#operate(thread, 0);
    }
  }

  /** Every possible move as packed (move.ts). Appends to `moves`. */
  moves(moves: number[]): void {
    const { threadCount } = this.#options;
    const first = moves.length;
    for (let thread = 0; thread < threadCount; thread++) {
      const before = moves.length;
      const isOwnChoice = this.#movesOf(thread, moves);
      // Which of its own tasks a loop takes is private: no other thread can notice or change the
      // choice.
      if (this.reduces && isOwnChoice && moves.length > before) {
        moves.splice(first, before - first);
        return;
      }
    }
  }

  /** Makes one operation and nothing more. */
  step(thread: number, choice: number): void {
    if (choice === DIES) this.#die(thread);
    else this.#operate(thread, choice);
  }

  /** Makes one move, and the private steps that follow it. Throws Violation. */
  move(thread: number, choice: number): void {
    this.step(thread, choice);
    if (this.reduces) this.#makePrivateSteps(thread);
    else this.#makeNotes(thread);
  }

  /** Returns true if the choice is the thread's alone, and it has one. */
  #movesOf(thread: number, moves: number[]): boolean {
    const { sleepers } = this;
    if (sleepers.isDead(thread)) return false;
    const base = packMove(thread, 0);
    const { kind, operation, place } = this.at(thread);
    const isMortal = (this.#options.mortals & (1 << thread)) !== 0;
    if (isMortal) moves.push(base + DIES);
    if (sleepers.isAsleep(thread)) {
      if (sleepers.mayTimeOut(operation.other)) moves.push(base + WaitResult.TIMED_OUT);
      return false;
    }
    if (kind === OperationKind.DONE) return false;
    if (kind !== OperationKind.PICK) {
      const choices = kind === OperationKind.NOTIFY ? this.#waited.choices(place, operation.value) : 1;
      for (let choice = 0; choice < choices; choice++) moves.push(base + choice);
      return false;
    }
    const { names, numbers } = operation;
    for (let task = 0; task < names.length; task++) moves.push(base + task);
    for (const wait of numbers) {
      if (sleepers.isNotified(thread, wait)) moves.push(base + WOKEN + wait);
      else if (sleepers.isTimed(thread, wait)) moves.push(base + TIMED_OUT + wait);
    }
    return numbers.length === 0 && !isMortal;
  }

  #makePrivateSteps(thread: number): void {
    for (let steps = 0; this.#isPrivate(thread); steps++) {
      if (steps > MAX_PRIVATE_STEPS) throw new Violation(`${this.nameOf(thread)} runs on forever`);
      this.#operate(thread, 0);
    }
  }

  #isPrivate(thread: number): boolean {
    const { kind, place } = this.at(thread);
    return this.sleepers.isRunning(thread) && this.uses.isPrivate(thread, kind, place);
  }

  #noteUse(thread: number): void {
    const { kind, place, operation } = this.at(thread);
    const wasEventCount = place >= 0 && this.uses.isEventCount(place);
    this.uses.note(thread, kind, place);
    // A word that a thread waits by for the first time was an ordinary one until here.
    if (place >= 0 && !wasEventCount && this.uses.isEventCount(place))
      this.#eventCounts.convert(place, operation.value);
  }

  #makeNotes(thread: number): void {
    while (this.at(thread).kind === OperationKind.NOTE && this.sleepers.isRunning(thread)) this.#operate(thread, 0);
  }

  #operate(thread: number, choice: number): void {
    this.operations++;
    const state = this.at(thread);
    const { operation, kind, place } = state;
    let result: number | undefined;
    try {
      if (this.accesses.check(thread, operation, place)) this.#eventCounts.readPlainly(thread);
      result = this.#resultOf(thread, choice, state);
    } finally {
      // Also for the operation that breaks a rule.
      if (this.onStep !== undefined) this.onStep(thread, choice, operation, result ?? 0);
    }
    if (kind === OperationKind.NOTE) this.watcher?.note(thread, operation);
    else if (place >= 0 && (kind === OperationKind.READ || kind === OperationKind.LOAD))
      this.watcher?.read(thread, place);
    // The thread sleeps and has no result yet.
    if (result === undefined) return;
    this.set(thread, this.threads[thread]?.next(this.words[thread] as number, result) ?? 0);
    this.#noteUse(thread);
    if (this.at(thread).kind === OperationKind.DONE) this.#publishExit(thread);
  }

  /** Undefined: the thread sleeps. */
  #resultOf(thread: number, choice: number, state: LocalState): number | undefined {
    const { operation, kind, place } = state;
    const { value, other } = operation;
    const now = place < 0 ? 0 : (this.words[place] as number);
    if (place >= 0 && this.uses.isEventCount(place)) return this.#eventCounts.resultOf(thread, choice, state);
    const next = storedBy(operation, now);
    if (next !== undefined) return this.#write(thread, place, now, next);
    switch (kind) {
      case OperationKind.READ:
      case OperationKind.LOAD:
      case OperationKind.COMPARE_EXCHANGE:
        return now;
      case OperationKind.NOTIFY:
        return this.#waited.notify(place, value, choice);
      case OperationKind.WAIT:
        return this.#waited.wait(thread, choice, now === value);
      case OperationKind.WAIT_ASYNC:
        return now === value ? this.sleepers.wait(thread, place, other) : NOT_ASYNC;
      case OperationKind.PICK:
        if (choice >= WOKEN) this.sleepers.endWait(thread, choice % WOKEN);
        return choice;
      case OperationKind.CRASH:
        throw new Violation(`${this.nameOf(thread)} threw: ${operation.names[0]}`);
      default:
        return 0;
    }
  }

  #write(thread: number, place: number, from: number, to: number): number {
    this.watcher?.write(thread, place, from, to);
    this.set(place, to);
    // Polling is reading: a thread that writes has found work, and does not wait by the count that
    // it read.
    if (this.disarms) this.#eventCounts.disarm(thread);
    return from;
  }

  /** For comparing ends: no thread will wait by a count that it read before. */
  forgetCounts(): void {
    for (let thread = 0; thread < this.#options.threadCount; thread++) this.#eventCounts.disarm(thread);
  }

  /** Whether the word reports a thread's end. Its waiter never reads it. */
  isExit(place: number): boolean {
    const name = this.addressAt(place);
    const exits = this.threads.map((_, thread) => this.#options.exitOf(thread));
    return exits.some((exit) => exit !== undefined && exit.buffer === name?.buffer && exit.index === name.index);
  }

  #die(thread: number): void {
    if (this.onStep !== undefined) this.onStep(thread, DIES, this.at(thread).operation, 0);
    this.sleepers.die(thread);
    this.#publishExit(thread);
  }

  #publishExit(thread: number): void {
    const exit = this.#options.exitOf(thread);
    if (exit === undefined) return;
    const place = this.place(exit.buffer, exit.index);
    this.#eventCounts.changeOnce(place);
  }
}
