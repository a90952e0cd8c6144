/**
 * VmTrace: the trace of one User VM: records of its moves (changes of a slot's state, move.ts). It
 * switches recording on while the trace has a user, and passes moves to watchers, which are the
 * loops over `watch`.
 *
 * Called by: ServiceVm, for each request that the HSM dispatches. Users get it as `vm.trace()`,
 * `vm.statistics()` and `vm.inspection.sampleMoves()`.
 * Threads: the one that dispatches requests, the Service VM's.
 *
 *     for await (const move of trace.watch({ client: 'uart16550' }))
 *       console.log(describeMove(move));
 *
 * - Good: leave the loop (`break`, `return`) when you have seen enough. That ends the recording.
 * - Bad: await something slow inside the loop. The lanes fill meanwhile, and the oldest moves are
 *   lost (`move.lost`).
 */

import { SLOT_COUNT } from '../io-request/layout.js';
import type { InterruptEvent, InterruptReader } from './interrupt-reader.js';
import { LaneView } from './lane.js';
import { MoveSampler } from './move-sampler.js';
import { CompiledMoveFilter, type MoveFilter } from './move-filter.js';
import type { Move } from './move.js';
import { MoveAssembler } from './move-assembler.js';
import { MoveRecorder } from './move-recorder.js';
import { RingReader, type RingEntry } from './ring-reader.js';
import { RequestStatistics, type StatisticsSource } from './statistics.js';
import { hypervisorLane, LANE_ENTRIES, serviceLane, type TraceRing } from './trace-ring.js';

/**
 * Clients get numbers from 1 on. When all numbers below this one are used, all further clients
 * share this number, and one name.
 */
export const MAX_TRACED_CLIENTS = 1024;
/** An idle watcher polls at this interval, in ms. A dispatched request wakes it earlier. */
const POLL_MS = 10;
/**
 * After this many requests the event loop must turn, so that watchers can read. A request takes two
 * entries of a lane, so that is a quarter of a lane.
 */
const REQUESTS_PER_READ = LANE_ENTRIES / 8;

export interface NamedClient {
  readonly name: string;
}

const OTHER_CLIENTS: NamedClient = { name: 'other clients' };

export class VmTrace {
  /** Observes the slots of the Service VM's own view of the page. */
  readonly recorder: MoveRecorder;
  readonly #ring: TraceRing;
  /** The ring's time when the trace was created: `Move.timeNs` 0. */
  readonly #originMs: number;
  /** The number of each client, for the entries of the ring. */
  readonly #numbers = new Map<NamedClient, number>();
  /** By number. 0 stands for no client. */
  readonly #clients: (NamedClient | undefined)[] = [undefined];
  /** Wake the watchers that wait for moves. */
  readonly #wakers = new Set<() => void>();
  /** The client whose number the recorder has. Undefined before the first request. */
  #assigned: NamedClient | undefined;
  /** By lane, for `lastMove`. */
  readonly #views: LaneView[] = [];
  /** How many calls of `use` have not ended. */
  #users = 0;
  /** How many watchers there are. */
  #watchers = 0;
  /** Requests since the event loop was last asked to turn for them. */
  #unread = 0;
  #isClosed = false;

  constructor(ring: TraceRing, recorder = new MoveRecorder(ring)) {
    this.#ring = ring;
    this.#originMs = performance.now() + ring.clockOffsetMs;
    this.recorder = recorder;
  }

  get isOn(): boolean {
    return this.#users > 0;
  }

  /**
   * Switches recording on, until the function that it returns is called. With several users, until
   * the last of those functions is called.
   */
  use(): () => void {
    let isUsed = true;
    this.#users++;
    this.#ring.isOn = true;
    return () => {
      if (isUsed && --this.#users === 0) this.#ring.isOn = false;
      isUsed = false;
    };
  }

  /** Creates statistics of all requests from now on. Recording stays on until the VM ends. */
  count<Client extends NamedClient>(
    source: Omit<StatisticsSource<Client>, 'ring' | 'recorder'>,
  ): RequestStatistics<Client> {
    this.use();
    return new RequestStatistics({ ...source, ring: this.#ring, recorder: this.recorder });
  }

  /** The HSM is about to give a request to `client`. */
  assigning(client: NamedClient): void {
    if (this.#users > 0 && client !== this.#assigned) this.#setClient(client);
  }

  /**
   * A request was dispatched: wakes waiting watchers. Returns true if the Service VM's event loop
   * must turn, because the lanes would be full before long.
   */
  dispatched(): boolean {
    this.#wake();
    if (this.#watchers === 0 || ++this.#unread < REQUESTS_PER_READ) return false;
    // Request only one turn per batch, so that a slow watcher cannot throttle the guest.
    this.#unread = 0;
    return true;
  }

  #wake(): void {
    if (this.#wakers.size === 0) return;
    for (const waker of this.#wakers) waker();
    this.#wakers.clear();
  }

  /** The VM has ended: watchers get the remaining moves, then their loops end. */
  close(): void {
    this.#isClosed = true;
    this.#wake();
  }

  /**
   * All moves from this call until the VM ends or the loop is left, in batches sorted by time. Run
   * the loop: recording is on from this call, and only the loop's end switches it off.
   */
  watch(filter?: MoveFilter): AsyncGenerator<Move, void, undefined>;
  /** The same with the events of `interrupts`, which it closes. */
  watch(
    filter: MoveFilter | undefined,
    interrupts: InterruptReader,
  ): AsyncGenerator<Move | InterruptEvent, void, undefined>;
  watch(filter: MoveFilter = {}, interrupts?: InterruptReader): AsyncGenerator<Move | InterruptEvent, void, undefined> {
    const stop = this.use();
    const release = (): void => {
      stop();
      interrupts?.close();
    };
    return this.#events(new RingReader(this.#ring), new CompiledMoveFilter(filter), interrupts, release);
  }

  /** Unix time in ms of `timeNs` 0. */
  get startMs(): number {
    return this.#ring.originMs + this.#originMs;
  }

  /**
   * A sampler of the latest moves, for users that need not see all of them. The caller must
   * `close()` it.
   */
  sample(filter: MoveFilter = {}): MoveSampler {
    return new MoveSampler(this.#ring, filter, (client) => this.#clients[client]?.name, this.#originMs, this.use());
  }

  /**
   * `moves`: how many moves of slot `vcpu` were recorded, as an int32 that wraps. `atMs`: the time
   * of the last one with a time, in the terms of `performance.now()`. Undefined if no move has a
   * time.
   */
  lastMove(vcpu: number): { readonly moves: number; readonly atMs: number | undefined } {
    let moves = 0;
    let lastMs = 0;
    for (const lane of [hypervisorLane(vcpu), serviceLane(vcpu)]) {
      const view = (this.#views[lane] ??= new LaneView(this.#ring, lane));
      const { published } = view;
      moves = (moves + published) | 0;
      lastMs = Math.max(lastMs, view.timeMs(published - 1));
    }
    return { moves, atMs: lastMs > 0 ? lastMs - this.#ring.clockOffsetMs : undefined };
  }

  /** The generator behind `watch`: reads the new moves of all slots, or waits for some. */
  async *#events(
    reader: RingReader,
    filter: CompiledMoveFilter,
    interrupts: InterruptReader | undefined,
    release: () => void,
  ): AsyncGenerator<Move | InterruptEvent, void, undefined> {
    const assembler = new MoveAssembler((client) => this.#clients[client]?.name, this.#originMs);
    /** By slot: moves that were lost since the last one. */
    const lost = new Int32Array(SLOT_COUNT);
    this.#watchers++;
    try {
      for (;;) {
        const isLast = this.#isClosed;
        const moves: Move[] = [];
        // Before the moves: what follows an interrupt is read with it or later.
        const events: (Move | InterruptEvent)[] = interrupts?.take(isLast) ?? [];
        for (let vcpu = 0; vcpu < SLOT_COUNT; vcpu++) {
          let before = lost[vcpu] as number;
          const take = (entry: RingEntry, now: number): void => {
            filter.apply(assembler.assemble(entry, before + now), (move) => moves.push(move));
            before = 0;
          };
          const after = reader.read(vcpu, take, isLast);
          lost[vcpu] = before + after;
        }
        if (isLast) filter.flush((move) => moves.push(move));
        events.push(...moves);
        events.sort((a, b) => a.timeNs - b.timeNs);
        yield* events;
        if (isLast) return;
        if (events.length === 0) await this.#moreMoves();
      }
    } finally {
      this.#watchers--;
      release();
    }
  }

  /** Waits for the next dispatched request, or POLL_MS: other moves wake no watcher. */
  async #moreMoves(): Promise<void> {
    let waker: () => void = () => undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve) => {
      waker = resolve;
      this.#wakers.add(waker);
      timer = setTimeout(resolve, POLL_MS);
    });
    clearTimeout(timer);
    this.#wakers.delete(waker);
  }

  #setClient(client: NamedClient): void {
    this.#assigned = client;
    this.recorder.client = this.#numberOf(client);
  }

  /** The client's number in the ring. Gives it one at its first request. */
  #numberOf(client: NamedClient): number {
    const known = this.#numbers.get(client);
    if (known !== undefined) return known;
    const number = Math.min(this.#clients.length, MAX_TRACED_CLIENTS);
    this.#clients[number] = number === MAX_TRACED_CLIENTS ? OTHER_CLIENTS : client;
    if (number < MAX_TRACED_CLIENTS) this.#numbers.set(client, number);
    return number;
  }
}
