/**
 * VmTrace: the trace of one User VM in the Service VM's thread. It switches the ring on while somebody watches or counts,
 * knows the clients' names, and hands the moves to its watchers.
 */

import { SLOT_COUNT } from '../io-request/layout.js';
import { MoveSampler } from './move-sampler.js';
import { CompiledMoveFilter, type MoveFilter } from './move-filter.js';
import { MoveAssembler, type Move } from './move.js';
import { MoveRecorder } from './move-recorder.js';
import { RingReader } from './ring-reader.js';
import { RequestStatistics, type StatisticsSource } from './statistics.js';
import { hypervisorLane, LANE_EVENTS, serviceLane, type TraceRing } from './trace-ring.js';

/** Clients that have a name in the trace; those beyond share one. */
export const MAX_TRACED_CLIENTS = 1024;
/** A watcher looks again after so many ms; requests that are given to clients wake it earlier. */
const RECHECK_MS = 10;
/** Requests after which watchers have to read: a quarter of what a lane holds. */
const REQUESTS_PER_READ = LANE_EVENTS / 8;

export interface NamedClient {
  readonly name: string;
}

const OTHER_CLIENTS: NamedClient = { name: 'other clients' };

export class VmTrace {
  /** For the slots of the Service VM's own view of the page. */
  readonly recorder: MoveRecorder;
  readonly #ring: TraceRing;
  readonly #originMs: number;
  readonly #numbers = new Map<NamedClient, number>();
  /** By number; 0 is nobody's. */
  readonly #clients: (NamedClient | undefined)[] = [undefined];
  readonly #wakers = new Set<() => void>();
  /** Whose number the recorder has. */
  #assigned: NamedClient | undefined;
  #users = 0;
  /** Who reads all moves, and requests since they were last given a turn. */
  #readers = 0;
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

  /** Moves are recorded from now on until the function that it returns is called. */
  use(): () => void {
    let isUsed = true;
    this.#users++;
    this.#ring.isOn = true;
    return () => {
      if (isUsed && --this.#users === 0) this.#ring.isOn = false;
      isUsed = false;
    };
  }

  /** Statistics of all requests from now on. */
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
   * A request was given to somebody: whoever waits for moves may look. True when the Service VM's event loop has to turn for
   * that, because the lanes would be full before long.
   */
  dispatched(): boolean {
    this.#wake();
    if (this.#readers === 0 || ++this.#unread < REQUESTS_PER_READ) return false;
    // Asked for once: a reader that takes its time does not slow the guest.
    this.#unread = 0;
    return true;
  }

  #wake(): void {
    if (this.#wakers.size === 0) return;
    for (const waker of this.#wakers) waker();
    this.#wakers.clear();
  }

  /** No more moves: watchers get what there is, then their loops end. */
  close(): void {
    this.#isClosed = true;
    this.#wake();
  }

  /** From this call until the VM ends or the loop is left. */
  watch(filter: MoveFilter = {}): AsyncGenerator<Move, void, undefined> {
    const release = this.use();
    return this.#moves(new RingReader(this.#ring), new CompiledMoveFilter(filter), release);
  }

  /** For who looks now and then, and need not see everything. */
  sample(filter: MoveFilter = {}): MoveSampler {
    return new MoveSampler(this.#ring, filter, (client) => this.#clients[client]?.name, this.#originMs, this.use());
  }

  /** How many moves slot `vcpu` has made while they were recorded, an int32 that wraps, and when it made the last one that has a time. */
  lastMove(vcpu: number): { readonly moves: number; readonly atMs: number | undefined } {
    const ring = this.#ring;
    let moves = 0;
    let lastMs = 0;
    for (const lane of [hypervisorLane(vcpu), serviceLane(vcpu)]) {
      const head = ring.head(lane);
      moves = (moves + head) | 0;
      lastMs = Math.max(lastMs, ring.time(lane, head - 1));
    }
    return { moves, atMs: lastMs > 0 ? lastMs - ring.clockOffsetMs : undefined };
  }

  async *#moves(
    reader: RingReader,
    sieve: CompiledMoveFilter,
    release: () => void,
  ): AsyncGenerator<Move, void, undefined> {
    const assembler = new MoveAssembler((client) => this.#clients[client]?.name, this.#originMs);
    this.#readers++;
    try {
      for (;;) {
        const isLast = this.#isClosed;
        const moves: Move[] = [];
        for (let vcpu = 0; vcpu < SLOT_COUNT; vcpu++)
          reader.read(
            vcpu,
            (event, lost) => sieve.apply(assembler.assemble(event, lost), (move) => moves.push(move)),
            isLast,
          );
        if (isLast) sieve.rest((move) => moves.push(move));
        moves.sort((a, b) => a.timeNs - b.timeNs);
        yield* moves;
        if (isLast) return;
        if (moves.length === 0) await this.#news();
      }
    } finally {
      this.#readers--;
      release();
    }
  }

  async #news(): Promise<void> {
    let waker: () => void = () => undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve) => {
      waker = resolve;
      this.#wakers.add(waker);
      timer = setTimeout(resolve, RECHECK_MS);
    });
    clearTimeout(timer);
    this.#wakers.delete(waker);
  }

  #setClient(client: NamedClient): void {
    this.#assigned = client;
    this.recorder.client = this.#numberOf(client);
  }

  #numberOf(client: NamedClient): number {
    const known = this.#numbers.get(client);
    if (known !== undefined) return known;
    const number = Math.min(this.#clients.length, MAX_TRACED_CLIENTS);
    this.#clients[number] = number === MAX_TRACED_CLIENTS ? OTHER_CLIENTS : client;
    if (number < MAX_TRACED_CLIENTS) this.#numbers.set(client, number);
    return number;
  }
}
