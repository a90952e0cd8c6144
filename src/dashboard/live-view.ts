/**
 * LiveView: the live page of one User VM, as whoever runs the VM opens it (`upcall run … --page`). It samples while
 * somebody watches and does nothing else: the guest is not told, stopped or slowed to be seen.
 */

import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { prometheusText } from '../trace/prometheus.js';
import { describeEvent, type UserVmEvent } from '../vm/user-vm-events.js';
import type { UserVm } from '../vm/user-vm.js';
import { ClientList } from './client-list.js';
import type { GuestConsole } from './guest-console.js';
import { PageConnection } from './page-connection.js';
import { PageServer } from './page-server.js';
import { CloseCode, FRAMES_PER_MESSAGE, PROTOCOL_VERSION, type ServerMessage } from './protocol.js';
import { stopsMessage } from './rows.js';
import { Sampler } from './sampler.js';
import { SlotSampler } from './slot-sampler.js';
import { TableSampler } from './table-sampler.js';

/** Pages that may be open at a time. */
export const MAX_PAGES = 8;
/** Events that are told in a second; a guest can cause any number. */
const MAX_NEWS_PER_SECOND = 20;
/** A frame of the slots in each. */
const BEATS_PER_SECOND = 60;
const BEATS_PER_MOVES = 2 * FRAMES_PER_MESSAGE;
const BEATS_PER_TABLES = 4 * FRAMES_PER_MESSAGE;

const DEFAULT_PAGE_HOST = '127.0.0.1';

export interface LiveViewOptions {
  readonly vm: UserVm;
  /** Of upcall, and of the hypervisor. */
  readonly version: string;
  readonly hypervisor: string;
  readonly console?: GuestConsole;
  /** Where to listen; the loopback address unless given. */
  readonly host?: string;
  /** Any that is free unless given. */
  readonly port?: number;
  /** Of the built page; that of the package unless given. */
  readonly pageFolder?: URL;
}

export class LiveView {
  readonly #options: LiveViewOptions;
  readonly #token = randomBytes(24).toString('base64url');
  readonly #clients: ClientList;
  readonly #slots: SlotSampler;
  #tables: TableSampler | undefined;
  readonly #pages = new Set<PageConnection>();
  readonly #sampler: Sampler;
  readonly #leave: (() => void)[] = [];
  #server: PageServer | undefined;
  #toldClients = '';
  #areStopsDue = false;
  #news = 0;
  #newsFromMs = 0;
  #ended: ServerMessage | undefined;

  /** Rejects with OPTION_INVALID when the address is taken. */
  static async open(options: LiveViewOptions): Promise<LiveView> {
    const view = new LiveView(options);
    view.#server = await PageServer.open({
      host: options.host ?? DEFAULT_PAGE_HOST,
      port: options.port ?? 0,
      token: view.#token,
      pageFolder: options.pageFolder ?? new URL('./page/', import.meta.url),
      metrics: () => view.#metrics(),
      onPage: (socket, stream) => {
        if (view.#pages.size >= MAX_PAGES) socket.close(CloseCode.TOO_MANY, `${MAX_PAGES} pages are open`);
        else view.#meet(socket, stream);
      },
    });
    return view;
  }

  private constructor(options: LiveViewOptions) {
    this.#options = options;
    const { vm, console } = options;
    this.#clients = new ClientList(vm.inspection);
    this.#slots = new SlotSampler(vm, this.#clients);
    this.#sampler = new Sampler(BEATS_PER_SECOND, [
      {
        everyBeats: 1,
        isWanted: () => this.#some(({ watchesSlots }) => watchesSlots),
        sample: () => this.#showSlots(),
      },
      {
        everyBeats: FRAMES_PER_MESSAGE,
        isWanted: () => this.#some(({ watchesSlots }) => watchesSlots),
        sample: () => this.#each((page) => page.sendSlots()),
      },
      {
        everyBeats: BEATS_PER_MOVES,
        isWanted: () => this.#some(({ watchesMoves }) => watchesMoves),
        sample: () => this.#each((page) => page.showMoves()),
      },
      {
        everyBeats: BEATS_PER_TABLES,
        isWanted: () => this.#some(({ watchesTables }) => watchesTables),
        sample: () => this.#showTables(),
      },
    ]);
    this.#leave.push(
      vm.debugger.onChange(() => this.#stopsChanged()),
      vm.onEvent((event) => this.#hear(event)),
    );
    if (console !== undefined)
      this.#leave.push(console.onBytes((bytes) => this.#each((page) => page.sendConsole(bytes))));
  }

  /** With the token: for the operator's eyes. */
  get address(): string {
    return `${this.origin}/#${this.#token}`;
  }

  get origin(): string {
    return this.#server?.origin ?? '';
  }

  get token(): string {
    return this.#token;
  }

  async close(): Promise<void> {
    this.#sampler.stop();
    for (const leave of this.#leave.splice(0)) leave();
    this.#each((page) => page.end());
    await this.#server?.close();
  }

  #some(of: (page: PageConnection) => boolean): boolean {
    for (const page of this.#pages) if (page.isWelcome && of(page)) return true;
    return false;
  }

  #each(act: (page: PageConnection) => void): void {
    for (const page of this.#pages) act(page);
  }

  #meet(socket: WebSocket, stream: Duplex): void {
    const { vm, console } = this.#options;
    const page = new PageConnection({
      socket,
      stream,
      token: this.#token,
      vm,
      clients: this.#clients,
      console,
      greetings: () => this.#greetings(),
      onChange: () => this.#watchingChanged(),
    });
    this.#pages.add(page);
    socket.on('close', () => this.#pages.delete(page));
  }

  #greetings(): ServerMessage[] {
    const { vm, version, hypervisor, console } = this.#options;
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
      stopsMessage(vm.debugger),
      ...(this.#ended === undefined ? [] : [this.#ended]),
    ];
  }

  #watchingChanged(): void {
    if (!this.#some(({ watchesTables }) => watchesTables)) this.#tables = undefined;
    else this.#tables ??= new TableSampler(this.#options.vm);
    this.#slots.showAll();
    this.#sampler.wake();
  }

  #showSlots(): void {
    const frame = this.#slots.sample();
    for (const page of this.#pages) if (page.watchesSlots) page.showSlots(frame);
  }

  #showTables(): void {
    if (this.#tables === undefined) return;
    const clients = this.#clients.message();
    const text = JSON.stringify(clients);
    if (text !== this.#toldClients) this.#each((page) => page.tell(clients));
    this.#toldClients = text;
    const tables = JSON.stringify(this.#tables.sample());
    for (const page of this.#pages) if (page.watchesTables) page.show(tables);
  }

  /** Said in the middle of the HSM's work, and perhaps a thousand times at once: pages hear of it once, a turn later. */
  #stopsChanged(): void {
    if (this.#areStopsDue || this.#pages.size === 0) return;
    this.#areStopsDue = true;
    setImmediate(() => {
      this.#areStopsDue = false;
      const stops = stopsMessage(this.#options.vm.debugger);
      this.#each((page) => page.tell(stops));
    });
  }

  #hear(event: UserVmEvent): void {
    if (event.kind === 'ended') {
      const { reason, message } = event.end;
      const ended = (this.#ended = { kind: 'ended', reason, message } as const);
      this.#each((page) => page.tell(ended));
    } else if (this.#pages.size > 0 && this.#isNewsAllowed()) {
      const text = describeEvent(event);
      this.#each((page) => page.tell({ kind: 'event', event: event.kind, text }));
    }
  }

  #isNewsAllowed(): boolean {
    const now = performance.now();
    if (now - this.#newsFromMs > 1000) {
      this.#newsFromMs = now;
      this.#news = 0;
    }
    return ++this.#news <= MAX_NEWS_PER_SECOND;
  }

  #metrics(): string {
    const { vm } = this.#options;
    const statistics = vm.statistics();
    return statistics === undefined ? '' : prometheusText([{ vm: vm.name, statistics }]);
  }
}
