/**
 * LiveView: the server of one User VM's live page (`upcall run … --page`). Any number of browsers
 * up to MAX_PAGES may have the page open. It samples the VM (slots, moves, statistics) only while
 * at least one page asks for that data, which is called watching. Sampling does not stop the guest.
 *
 * Called by: the program that runs the VM, through openLivePage or the command line.
 * Threads: the Service VM's thread only.
 */

import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { Deferred } from '../sync/deferred.js';
import { prometheusText } from '../trace/prometheus.js';
import { describeEvent, type UserVmEvent } from '../vm/user-vm-events.js';
import { AbandonedHolds } from './abandoned-holds.js';
import { ClientList } from './client-list.js';
import { InterruptSampler } from './interrupt-sampler.js';
import type { LiveViewOptions } from './live-view-options.js';
import { PageConnection } from './page-connection.js';
import { PageHolds } from './page-holds.js';
import { PageServer } from './page-server.js';
import { DEFAULT_RELEASE_MS, FRAMES_PER_MESSAGE, MAX_PAGES, PROTOCOL_VERSION, type ServerMessage } from './protocol.js';
import { RateLimit } from '../sync/rate-limit.js';
import { stopsMessage } from './rows.js';
import { Sampler } from './sampler.js';
import { SlotSampler } from './slot-sampler.js';
import { TableSampler } from './table-sampler.js';

/** How many events are sent per second. A guest can cause any number. */
const MAX_EVENTS_PER_SECOND = 20;
/** One frame of the slots per tick. */
const TICKS_PER_SECOND = 60;
/** Moves are sent every eight ticks, tables every sixteen: in one write with frames. */
const TICKS_PER_MOVES = 2 * FRAMES_PER_MESSAGE;
const TICKS_PER_TABLES = 4 * FRAMES_PER_MESSAGE;

const DEFAULT_PAGE_HOST = '127.0.0.1';

export type { LiveViewOptions } from './live-view-options.js';

export class LiveView {
  readonly #options: LiveViewOptions;
  /** The secret that a page must send before anything else. */
  readonly #token = randomBytes(24).toString('base64url');
  readonly #clients: ClientList;
  readonly #slots: SlotSampler;
  readonly #interrupts: InterruptSampler;
  /** Exists while a page watches tables. */
  #tables: TableSampler | undefined;
  /** The open pages that have sent the token. */
  readonly #pages = new Set<PageConnection>();
  /** What pages hold, and what becomes of it when no page is open. */
  readonly #holds: PageHolds;
  readonly #abandoned: AbandonedHolds;
  readonly #releaseMs: number;
  /** What was emitted while no page was open and the next one must know. */
  #missedEvent: ServerMessage | undefined;
  readonly #sampler: Sampler;
  /** Resolves when a browser has opened the page, or at the end. */
  readonly opened = new Deferred<undefined>();
  readonly #unsubscribe: (() => void)[] = [];
  #server: PageServer | undefined;
  /** The last `clients` message as text, to send changes only. */
  #sentClients = '';
  /** Whether a `stops` message follows in this turn of the event loop. */
  #isStopsQueued = false;
  readonly #eventRate = new RateLimit(MAX_EVENTS_PER_SECOND);
  #isClosed = false;
  /** The `ended` message, once the VM has ended. */
  #ended: ServerMessage | undefined;

  /** Rejects with OPTION_INVALID if it cannot listen at the address, or for an invalid time. */
  static async open(options: LiveViewOptions): Promise<LiveView> {
    const view = new LiveView(options);
    const opening = PageServer.open({
      host: options.host ?? DEFAULT_PAGE_HOST,
      port: options.port ?? 0,
      token: view.#token,
      pageFolder: options.pageFolder ?? new URL('./page/', import.meta.url),
      metrics: () => {
        const statistics = options.vm.statistics();
        return statistics === undefined ? '' : prometheusText([{ vm: options.vm.name, statistics }]);
      },
      onPage: (socket, stream, authenticated) => view.#accept(socket, stream, authenticated),
      ...(options.timing === undefined ? {} : { timing: options.timing }),
    });
    try {
      view.#server = await opening;
    } catch (error) {
      // The VM and the console must not keep its listeners.
      await view.close();
      throw error;
    }
    return view;
  }

  private constructor(options: LiveViewOptions) {
    this.#options = options;
    const { vm, console, releaseMs = DEFAULT_RELEASE_MS, timing } = options;
    this.#releaseMs = releaseMs === Infinity ? DEFAULT_RELEASE_MS : releaseMs;
    this.#holds = new PageHolds(vm.debugger, releaseMs === Infinity, () => this.#onStopsChange());
    this.#abandoned = new AbandonedHolds({
      holds: this.#holds,
      releaseMs: this.#releaseMs,
      emit: (event) => vm.emit(event),
      timing,
    });
    this.#clients = new ClientList(vm.inspection);
    this.#slots = new SlotSampler(vm, this.#clients);
    this.#interrupts = new InterruptSampler(vm);
    this.#sampler = new Sampler(TICKS_PER_SECOND, [
      {
        everyTicks: 1,
        isNeeded: () => this.#some(({ watchesSlots }) => watchesSlots),
        sample: () => this.#sampleSlots(),
      },
      {
        everyTicks: FRAMES_PER_MESSAGE,
        isNeeded: () => this.#some(({ watchesSlots }) => watchesSlots),
        sample: () => this.#each((page) => page.flushFrames()),
      },
      {
        everyTicks: TICKS_PER_MOVES,
        isNeeded: () => this.#some(({ watchesMoves }) => watchesMoves),
        sample: () => this.#each((page) => page.sendMoves()),
      },
      {
        everyTicks: TICKS_PER_TABLES,
        isNeeded: () => this.#some(({ watchesTables }) => watchesTables),
        sample: () => this.#sampleTables(),
      },
      {
        everyTicks: TICKS_PER_TABLES,
        isNeeded: () => this.#some(({ watchesInterrupts }) => watchesInterrupts),
        sample: () => this.#sampleInterrupts(),
      },
    ]);
    this.#unsubscribe.push(
      vm.debugger.onChange(() => this.#onStopsChange()),
      vm.onEvent((event) => this.#onEvent(event)),
    );
    if (console !== undefined)
      this.#unsubscribe.push(console.onBytes((bytes) => this.#each((page) => page.sendConsole(bytes))));
  }

  /** The address for the operator's browser, with the token. */
  get address(): string {
    return `${this.origin}/#${this.#token}`;
  }

  /** The address without a path and without the token. */
  get origin(): string {
    return this.#server?.origin ?? '';
  }

  get token(): string {
    return this.#token;
  }

  async close(): Promise<void> {
    this.#sampler.stop();
    this.#abandoned.stop();
    this.#isClosed = true;
    this.opened.resolve(undefined);
    for (const remove of this.#unsubscribe.splice(0)) remove();
    this.#each((page) => page.end());
    await this.#server?.close();
  }

  /** Whether a page matches. */
  #some(of: (page: PageConnection) => boolean): boolean {
    for (const page of this.#pages) if (of(page)) return true;
    return false;
  }

  #each(act: (page: PageConnection) => void): void {
    for (const page of this.#pages) act(page);
  }

  #accept(socket: WebSocket, stream: Duplex, authenticated: () => void): void {
    const { vm, console } = this.#options;
    const page = new PageConnection({
      socket,
      stream,
      token: this.#token,
      vm,
      clients: this.#clients,
      holds: this.#holds,
      console,
      initialMessages: () => this.#initialMessages(),
      admit: () => {
        if (this.#pages.size >= MAX_PAGES) return false;
        authenticated();
        this.#pages.add(page);
        this.opened.resolve(undefined);
        this.#onStopsChange();
        return true;
      },
      onWatchChange: () => this.#onWatchChange(),
      timing: this.#options.timing,
    });
    socket.on('close', () => {
      if (this.#pages.delete(page)) this.#onStopsChange();
    });
  }

  /** What a page gets first, once it has sent the token. */
  #initialMessages(): ServerMessage[] {
    const { vm, version, hypervisor, console } = this.#options;
    const missedEvent = this.#missedEvent;
    this.#missedEvent = undefined;
    return [
      {
        kind: 'welcome',
        protocol: PROTOCOL_VERSION,
        version,
        vm: {
          name: vm.name,
          vcpus: vm.inspection.vcpuCount,
          memoryBytes: vm.memory.size,
          hypervisor,
          hasConsole: console !== undefined,
        },
      },
      this.#clients.message(),
      this.#stopsMessage(),
      ...(missedEvent === undefined ? [] : [missedEvent]),
      ...(this.#ended === undefined ? [] : [this.#ended]),
    ];
  }

  #onWatchChange(): void {
    if (!this.#some(({ watchesTables }) => watchesTables)) this.#tables = undefined;
    else this.#tables ??= new TableSampler(this.#options.vm);
    this.#interrupts.forget();
    this.#slots.showAll();
    this.#sampler.wake();
  }

  #sampleSlots(): void {
    const frame = this.#slots.sample();
    for (const page of this.#pages) if (page.watchesSlots) page.queueFrame(frame);
  }

  #sampleTables(): void {
    if (this.#tables === undefined) return;
    const clients = this.#clients.message();
    const text = JSON.stringify(clients);
    if (text !== this.#sentClients) this.#each((page) => page.send(clients));
    this.#sentClients = text;
    const tables = JSON.stringify(this.#tables.sample());
    for (const page of this.#pages) if (page.watchesTables) page.sendSample(tables);
  }

  #sampleInterrupts(): void {
    const text = this.#interrupts.sample();
    if (text !== undefined) for (const page of this.#pages) if (page.watchesInterrupts) page.sendSample(text);
  }

  #stopsMessage(): ServerMessage {
    return stopsMessage(this.#options.vm.debugger, this.#holds.keepsHeld, this.#releaseMs);
  }

  /**
   * A request was held or let go, a breakpoint changed, or a page came or left. This is called
   * during the HSM's work, and possibly very often: all changes of a turn of the event loop are
   * handled together.
   */
  #onStopsChange(): void {
    if (this.#isStopsQueued) return;
    this.#isStopsQueued = true;
    setImmediate(() => {
      this.#isStopsQueued = false;
      if (this.#isClosed) return;
      this.#abandoned.update(this.#pages.size > 0);
      if (this.#pages.size === 0) return;
      const stops = this.#stopsMessage();
      this.#each((page) => page.send(stops));
    });
  }

  #onEvent(event: UserVmEvent): void {
    if (event.kind === 'ended') {
      const { reason, message } = event.end;
      const ended = (this.#ended = { kind: 'ended', reason, message } as const);
      this.#each((page) => page.send(ended));
      return;
    }
    const message = (): ServerMessage => ({ kind: 'event', event: event.kind, text: describeEvent(event) });
    if (this.#pages.size === 0) {
      if (event.kind === 'hold-released') this.#missedEvent = message();
    } else if (this.#eventRate.allows()) {
      const sent = message();
      this.#each((page) => page.send(sent));
    }
  }
}
