/**
 * ExploredWorld: one model on one program, ready to be searched. Each thread of the model stands
 * where its own work begins, in one state space with the watcher. A life of a thread is one run of
 * its code from the beginning: a search that goes back runs it again (machine/thread-life.ts).
 *
 * Called by: explore.ts and schedule.ts, which create one for each search, random schedule or
 * replay. Only one world of a program may be used at a time: they share the runtime, which has one
 * current thread.
 */

import { HeapFingerprint } from './machine/heap-fingerprint.js';
import { BUFFERS_PER_THREAD, ThreadLife } from './machine/thread-life.js';
import { EndWatcher } from './end-watcher.js';
import type { Model, ThreadPlan, WordNaming, WorldParts } from './model.js';
import { EXITS, type ExploredProgram } from './program.js';
import { LearnedThread, type Life } from './search/learned-thread.js';
import type { WordAccess } from './search/mixed-accesses.js';
import type { EventCount, Watcher } from './search/space-parts.js';
import { StateSpace } from './search/state-space.js';
import { Relearn } from './search/violation.js';
import { PropertyNames } from './property-names.js';

export interface WorldOptions {
  /** Whether steps that no other thread can notice are made at once. Default: true. */
  readonly reduces?: boolean;
  /**
   * Whether threads are learned. A search that goes back needs it, a single run is faster without.
   * Default: true.
   */
  readonly learns?: boolean;
  /** Event counts that another world of this model has come to know. */
  readonly eventCounts?: readonly EventCount[];
  /** An access of another run that breaks a rule together with one of this run. */
  readonly access?: WordAccess | undefined;
}

export class ExploredWorld {
  readonly model: Model;
  readonly space: StateSpace;
  readonly #program: ExploredProgram;
  readonly #shared: unknown;
  readonly #parts: WorldParts;
  /** One for all lives: it numbers the texts that it sees, and equal texts must have one number. */
  readonly #heap: HeapFingerprint;

  constructor(
    program: ExploredProgram,
    model: Model,
    { reduces = true, learns = true, eventCounts = [], access }: WorldOptions = {},
  ) {
    this.model = model;
    this.#program = program;
    this.#heap = new HeapFingerprint((fn) => program.runtime.originOf(fn));
    // A life that belongs to no thread, for the function that makes the shared objects. Their
    // buffers are numbered from 0.
    program.runtime.life = this.#life(0);
    const shared = (this.#shared = program.callNow(model.shared));
    const parts = (this.#parts = model.parts(shared));
    const { threads, watcher = new EndWatcher(threads), isOwned = () => false } = parts;
    const space = (this.space = new StateSpace(
      {
        threadCount: threads.length,
        mortals: threads.reduce((bits, { mayDie }, thread) => (mayDie === true ? bits | (1 << thread) : bits), 0),
        exitOf: (thread) => {
          const exit = threads[thread]?.exit;
          return exit === undefined ? undefined : { buffer: EXITS, index: exit };
        },
        safetyNetsFire: model.safetyNetsFire === true,
        isOwned,
      },
      watcher.wordCount,
    ));
    for (const count of eventCounts) space.addEventCount(count);
    this.#setUp(threads, watcher, learns);
    if (access !== undefined)
      space.accesses.add(access.thread, space.place(access.buffer, access.index), access.isPlain);
    space.reduces = reduces;
  }

  /** Names for people. Made when it is asked for: some names are known only after a run. */
  get naming(): WordNaming {
    return this.#parts.naming?.(this.space) ?? new PropertyNames(this.#shared);
  }

  /** Runs each thread alone up to where its own work begins (ThreadPlan.startsAt), in order. */
  #setUp(threads: readonly ThreadPlan[], watcher: Watcher, learns: boolean): void {
    const { space } = this;
    threads.forEach((plan, number) => {
      const begin = (): Life => this.#begin(plan, number);
      try {
        space.addThread(new LearnedThread(plan.name, begin, (operation) => space.placeOf(operation), learns));
        if (plan.startsAt !== undefined) space.runAlone(number, plan.startsAt);
      } catch (error) {
        // No search runs yet that could begin again.
        if (!(error instanceof Relearn)) throw error;
        const what = `${plan.name} begins too late: ${error.message}`;
        throw new Error(`${what}. Let each thread begin at a read before its first wait`, { cause: error });
      }
    });
    // Set-up is over: its uses are known, its accesses break no rule, and this state is mark 0.
    space.disarms = learns;
    watcher.begin(space);
    space.watcher = watcher;
    space.accesses.hasBegun = true;
    space.uses.learn();
    space.state.forgetChanges();
  }

  /** A new life of a thread. Its buffers get the same numbers as those of its other lives. */
  #begin({ main, workerData }: ThreadPlan, number: number): Life {
    const { runtime } = this.#program;
    const life = this.#life((number + 1) * BUFFERS_PER_THREAD);
    life.workerData = workerData?.();
    return {
      run: life.live(this.#program.function(main.module, main.name), main.values),
      activate: () => {
        runtime.life = life;
      },
      fingerprint: () => this.#heap.take(life.roots),
    };
  }

  #life(buffersFrom: number): ThreadLife {
    const { runtime } = this.#program;
    return new ThreadLife(
      buffersFrom,
      (fn, self, values) => runtime.invoke(fn, self, values),
      (fn, values) => runtime.callNow(fn, values),
    );
  }
}
