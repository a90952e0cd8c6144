/**
 * StateSpace: a complete explored world as one array of numbers, and the moves that lead on from
 * each state. The numbers are the local state of each thread (learned-thread.ts), which thread
 * sleeps on which word (sleepers.ts), what the watcher remembers, and every shared word that is
 * used.
 *
 * Called by: the searches, explore.ts and schedule.ts, which go to a state and make moves from
 * there. ExploredWorld creates it.
 *
 * - Place: the index of a shared word in that array (word-places.ts). It gets one at its first use.
 * - Step: one operation of one thread. Move: a step with the private steps that follow it.
 * - Private step: no other thread can notice it or change its result (word-uses.ts). Example: a
 *   thread writes a word that only it uses, then stores to a common word. What others do between
 *   the two has the same effect before both. So the write is made together with the step before it,
 *   and the search tries other threads only around both. This is the reduction. It leaves out
 *   states and keeps every end, which a test compares.
 * - Event count: a word of which the array holds not the value, but whether it changed since its
 *   waiter read it (event-counts.ts).
 *
 * What is private and what is an event count is learned. Wrong knowledge is noticed, by Relearn or
 * `uses.hasNewUse`, and then the search begins again.
 */

import { isPickOfTask, NOT_ASYNC, OperationKind, storedBy, waitOfPick, type Operation } from '../machine/operation.js';
import { EventCounts } from './event-counts.js';
import { MixedAccesses } from './mixed-accesses.js';
import { StateWords } from './state-words.js';
import type { LearnedThread, LocalState } from './learned-thread.js';
import { DIES } from './move.js';
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
import { ThreadMoves } from './thread-moves.js';
import { Violation } from './violation.js';
import { WaitedWords } from './waited-words.js';
import { WordPlaces } from './word-places.js';
import { WordUses } from './word-uses.js';

/** A thread that makes more private steps in a row, or steps before its start, runs forever. */
const MAX_PRIVATE_STEPS = 20_000;

export class StateSpace implements WatchedSpace {
  readonly state = new StateWords();
  readonly words = this.state.words;
  readonly uses = new WordUses();
  readonly sleepers: Sleepers;
  readonly threads: LearnedThread[] = [];
  /** The watcher's first word. */
  readonly notes: number;
  /** Called for each step, also for private ones and for one that breaks a rule. */
  onStep: StepListener | undefined;
  /** Steps made, with the private ones. */
  operations = 0;
  /** Undefined while the threads set themselves up. */
  watcher: Watcher | undefined;
  /**
   * Whether private steps are made with the step before, and a choice that concerns only the
   * thread's own event loop before the moves of the others.
   */
  reduces = true;
  /**
   * Whether a thread's write to any other word forgets what it read of its event counts
   * (EventCounts.disarm). That leaves out states. Off while threads set themselves up, and in
   * single runs, which would gain nothing.
   */
  disarms = false;
  /** Which threads use which words plainly, and which by atomic operations. */
  readonly accesses = new MixedAccesses((thread) => this.nameOf(thread));
  readonly #eventCounts: EventCounts;
  readonly #waited: WaitedWords;
  readonly #moves: ThreadMoves;
  readonly #options: SpaceOptions;
  readonly #places: WordPlaces;

  /** `wordCount`: words of the watcher. */
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
    this.#moves = new ThreadMoves(this, this.#waited, options.mortals);
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

  /**
   * The event counts that are known, and as ANY_THREAD the waited words that turned out to be
   * ordinary: words whose value is in the state. Part of a schedule, because the result of an
   * operation depends on them: a load of an event count gives 0, not the count.
   */
  get eventCounts(): readonly EventCount[] {
    return this.#places.addresses.flatMap(({ buffer, index }) => {
      const place = this.place(buffer, index);
      const thread = this.uses.isOrdinary(place) ? ANY_THREAD : this.uses.waiterOf(place);
      return thread === undefined ? [] : [{ buffer, index, thread }];
    });
  }

  /** Knowledge of another space of this model. To be given before the first step. */
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

  /** Where a thread stands: its local state, which has its next operation. */
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
      const isOwnChoice = this.#moves.append(thread, moves);
      // Which of its own tasks a loop takes is private. So these are the only moves from here:
      // those of other threads have the same effect after them.
      if (this.reduces && isOwnChoice && moves.length > before) {
        moves.splice(first, before - first);
        return;
      }
    }
  }

  /** Makes one step and nothing more. For replays, whose schedules list every step. */
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

  /** Records that the thread uses the word of the operation at which it has arrived. */
  #noteUse(thread: number): void {
    const { kind, place, operation } = this.at(thread);
    const wasEventCount = place >= 0 && this.uses.isEventCount(place);
    this.uses.note(thread, kind, place);
    // The first time that a thread waits by the word: until here the state held its value.
    if (place >= 0 && !wasEventCount && this.uses.isEventCount(place))
      this.#eventCounts.convert(place, operation.value);
  }

  /** Without reduction: notes take no time, so they belong to the step before them all the same. */
  #makeNotes(thread: number): void {
    while (this.at(thread).kind === OperationKind.NOTE && this.sleepers.isRunning(thread)) this.#operate(thread, 0);
  }

  /** Makes the operation of a thread and goes to its next local state. */
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
    // The thread sleeps. It stays at its WAIT, whose result comes with its next move.
    if (result === undefined) return;
    this.set(thread, this.threads[thread]?.next(this.words[thread] as number, result) ?? 0);
    this.#noteUse(thread);
    if (this.at(thread).kind === OperationKind.DONE) this.#publishExit(thread);
  }

  /** Undefined: the thread sleeps. */
  #resultOf(thread: number, choice: number, state: LocalState): number | undefined {
    const { operation, kind, place } = state;
    const { value, other: timeoutMs } = operation;
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
        return now === value ? this.sleepers.wait(thread, place, timeoutMs) : NOT_ASYNC;
      case OperationKind.PICK:
        if (!isPickOfTask(choice)) this.sleepers.endWait(thread, waitOfPick(choice));
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
    if (this.disarms) this.#eventCounts.disarm(thread);
    return from;
  }

  /** Makes ends comparable: at an end it makes no difference whether a thread has read a count. */
  forgetCounts(): void {
    for (let thread = 0; thread < this.#options.threadCount; thread++) this.#eventCounts.disarm(thread);
  }

  /** Whether the word reports a thread's end. Its waiter never reads it: it is 0 until then. */
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
