/**
 * CardServer: one PCI card with the User VM around it, and the client that has it.
 *
 * Called by: serveVfioUser, which accepts clients. Threads: the Service VM's.
 *
 * The hypervisor of the VM is the client (client-hypervisor.ts). So each access is a request in a
 * shared page, and the tools of a VM show the card: trace, statistics, faults, breakpoints, the
 * live page.
 *
 * One client at a time. When it is gone, the VM is reset, and with it the card. A card that was
 * removed meanwhile is created again for the next one.
 */

import type { DescriptorStream } from '../host/descriptor-streams.js';
import type { EventFds } from '../host/event-fds.js';
import type { MemoryArena } from '../host/memory-arena.js';
import { CardFunction } from '../device-model/pci/card-function.js';
import type { PciCard } from '../device-model/pci/pci-card.js';
import { RegionMemory } from '../hypervisor/region-memory.js';
import { errorText } from '../io-request/error-text.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { atMost } from '../sync/bounded-wait.js';
import { ServiceVm } from '../vm/service-vm.js';
import type { UserVm } from '../vm/user-vm.js';
import type { UserVmOptions } from '../vm/user-vm-options.js';
import type { AttachedCard } from '../vm/vm-cards.js';
import { ClientConnection, type ClientCounters } from './client-connection.js';
import { ClientHypervisor } from './client-hypervisor.js';
import { DmaMap } from './dma-map.js';
import { ServedFunction } from './served-function.js';

/**
 * Creates the card for the VM to which it will be attached. Called again for the next client after
 * a card was removed, for example because it was late.
 */
export type CreateServedCard = (vm: UserVm) => PciCard | Promise<PciCard>;

export interface CardServerOptions {
  readonly card: PciCard | CreateServedCard;
  readonly vm: Pick<UserVmOptions, 'name' | 'clientTimeoutMs' | 'late' | 'lateStacks' | 'statistics' | 'faults'>;
  /** Called once, before the card is created and attached for the first time. */
  readonly onVm: (vm: UserVm) => void;
  /** Clients that come and go, in words for a person. */
  readonly report: (line: string) => void;
  /** Undefined: guest memory is reached by messages only. */
  readonly arena: MemoryArena | undefined;
  /** Undefined: no descriptors arrive, and no interrupt leaves. */
  readonly events: EventFds | undefined;
  /** In ms. Default: the host's clock. */
  readonly now?: () => number;
}

/** How long the next client waits for the `close` of a card that was removed, in ms. */
const CLOSE_LIMIT_MS = 1000;
const MAX_REFUSED = 16;
const UNSHARED =
  'the RAM is not shared: DMA goes by messages, and fails within a read of the card. ' +
  'Start QEMU with -object memory-backend-memfd,id=ram,size=SIZE -machine memory-backend=ram';
/** Of a host that maps nothing. */
const NO_ARENA_BYTES = 4096;
/** The card's place in its VM. The client chooses the one in its machine. */
const ADDRESS = { bus: 0, device: 1, function: 0 };
const CONFIG_ADDRESS = ADDRESS.device << 11;

interface Parts {
  readonly options: CardServerOptions;
  readonly serviceVm: ServiceVm;
  readonly hypervisor: ClientHypervisor;
  readonly memory: RegionMemory;
  readonly vm: UserVm;
}

export class CardServer {
  readonly vm: UserVm;
  readonly memory: RegionMemory;
  readonly dmaMap: DmaMap;
  /** Undefined until the card is attached. */
  served: ServedFunction | undefined;
  readonly #parts: Parts;
  #attached: AttachedCard | undefined;
  /** Of the client, or of a program that has not said yet that it is one. */
  #stream: DescriptorStream | undefined;
  #connection: ClientConnection | undefined;
  /** The connection while it has the card: from its VERSION on. */
  #client: ClientConnection | undefined;
  /** Streams of others that have said nothing yet, oldest first. */
  readonly #refused = new Set<DescriptorStream>();
  #isClosing = false;
  #last: ClientCounters | undefined;
  /** Resolves when the card is as after power-on, for the next client. */
  #ready: Promise<void> = Promise.resolve();

  /** Rejects with what creating and attaching the card throws. */
  static async create(options: CardServerOptions): Promise<CardServer> {
    const buffer = options.arena?.buffer ?? new SharedArrayBuffer(NO_ARENA_BYTES);
    const memory = new RegionMemory({ buffer, byteOffset: 0, byteLength: buffer.byteLength });
    let server: CardServer | undefined;
    const hypervisor = new ClientHypervisor({
      memory,
      configAddress: CONFIG_ADDRESS,
      dispatch: () => serviceVm.module.worker.passNow(),
      sendMessage: (message) => server?.served?.sendMessage(message) ?? false,
      setPin: (isHigh) => server?.served?.irqs.setLevel(isHigh),
    });
    const serviceVm = new ServiceVm(hypervisor);
    try {
      const vm = await serviceVm.createUserVm(options.vm);
      server = new CardServer({ options, serviceVm, hypervisor, memory, vm });
      options.onVm(vm);
      await server.#attach();
      await vm.start();
      return server;
    } catch (error) {
      await serviceVm.close();
      throw error;
    }
  }

  private constructor(parts: Parts) {
    this.#parts = parts;
    this.vm = parts.vm;
    this.memory = parts.memory;
    this.dmaMap = new DmaMap(parts.memory, parts.options.arena);
  }

  /** Of the present client, or the last one. */
  get client(): ClientCounters | undefined {
    return this.#client?.counters ?? this.#last;
  }

  /** Resolves when the connected client finds the card as after power-on, or is refused. */
  get ready(): Promise<void> {
    return this.#ready;
  }

  /** A program has connected. It is refused if another one has the card. */
  connect(stream: DescriptorStream): void {
    const who = stream.pid === undefined ? 'a client' : `process ${stream.pid}`;
    if (this.#stream !== undefined) {
      this.#refuse(stream, `${who} is refused: another client has the card`);
      return;
    }
    this.#stream = stream;
    this.#ready = this.#ready.then(async () => this.#begin(stream, who, await this.#restored()));
  }

  /** A client that is connected loses the card. */
  async close(): Promise<void> {
    this.#isClosing = true;
    for (const stream of [...this.#refused]) this.#drop(stream);
    this.#connection?.end();
    await this.#ready;
    await this.#parts.serviceVm.close();
    // What the card had to write is written.
    await this.#attached?.closed;
  }

  #report(line: string): void {
    this.#parts.options.report(`${this.vm.name}: ${line}`);
  }

  /**
   * `problem`: why there is no card. The stream is closed then: a machine that finds all ones where
   * a function's configuration space should be may never come to an end with it.
   */
  #begin(stream: DescriptorStream, who: string, problem: string | undefined): void {
    if (this.#isClosing || problem !== undefined) {
      if (problem !== undefined) this.#report(`${who} is refused: ${problem}`);
      stream.close();
      this.#stream = undefined;
      return;
    }
    const { hypervisor, options } = this.#parts;
    const failuresBefore = this.memory.failures;
    let isUnshared = false;
    this.dmaMap.onUnshared = () => {
      if (!isUnshared) this.#report(UNSHARED);
      isUnshared = true;
    };
    const client = new ClientConnection({
      stream,
      served: this.#function,
      now: options.now ?? (() => performance.now()),
      deliverPin: () => hypervisor.vm.deliverPin(),
      onVersion: () => {
        this.#client = client;
        this.#report(`${who} has the card`);
      },
      onEnd: (reason) => {
        const why = reason === undefined ? '' : `: it ${reason}`;
        this.#stream = this.#connection = undefined;
        // A program that only probes the socket is no client.
        if (this.#client === client) {
          this.#report(this.#isClosing ? `${who} loses the card: the server ends` : `${who} is gone${why}`);
          const failures = this.memory.failures - failuresBefore;
          if (failures > 0) this.#report(`DMA of the card that failed in the memory of ${who}: ${failures}`);
          this.#last = client.counters;
          this.#client = undefined;
        } else if (reason !== undefined) this.#report(`${who} is refused${why}`);
        this.memory.remote = undefined;
        this.#function.clear();
        this.#ready = this.#ready.then(() => this.#powerOn());
      },
    });
    this.#connection = client;
    this.memory.remote = client.session.dma;
    client.begin();
  }

  /** Reported when it speaks: a program that only probes the socket says nothing. */
  #refuse(stream: DescriptorStream, line: string): void {
    if (this.#refused.size >= MAX_REFUSED) this.#drop([...this.#refused][0] as DescriptorStream);
    this.#refused.add(stream);
    stream.onReadable = () => {
      if (!this.#refused.has(stream)) return;
      const part = stream.receive();
      if (part === undefined) return;
      if (part !== 'closed') {
        for (const descriptor of part.descriptors) this.#parts.options.events?.close(descriptor);
        this.#report(line);
      }
      this.#drop(stream);
    };
    stream.onReadable();
  }

  #drop(stream: DescriptorStream): void {
    this.#refused.delete(stream);
    stream.close();
  }

  get #function(): ServedFunction {
    if (this.served === undefined) throw new Error('the card is not attached yet');
    return this.served;
  }

  /** Rejects with what creating and attaching the card throws. */
  async #attach(): Promise<void> {
    const { options, hypervisor } = this.#parts;
    const { events } = options;
    const card = typeof options.card === 'function' ? await options.card(this.vm) : options.card;
    this.#attached = this.vm.attachCard(card, ADDRESS);
    const fn = this.#present;
    if (fn === undefined) throw new Error(`${card.name} has no function`);
    this.served = new ServedFunction({
      fn,
      contexts: hypervisor.vm.contexts,
      dmaMap: this.dmaMap,
      signal: (descriptor) => events?.write(descriptor),
      acceptEvent: (descriptor) => events?.adopt(descriptor) === true,
      closeDescriptor: (descriptor) => events?.close(descriptor),
    });
  }

  /** Undefined: the card was removed, for example because it was late. */
  get #present(): CardFunction | undefined {
    for (const { function: fn } of this.vm.pci.functions()) if (fn instanceof CardFunction) return fn;
    return undefined;
  }

  /** Creates a card again that was removed. Returns why that cannot be. */
  async #restored(): Promise<string | undefined> {
    if (this.#isClosing || this.#present !== undefined) return undefined;
    if (typeof this.#parts.options.card !== 'function')
      return 'the card was removed. Give serveVfioUser a function that creates it, which is called again then';
    try {
      // It may have a file open.
      await atMost(CLOSE_LIMIT_MS, this.#attached?.closed ?? Promise.resolve());
      await this.#attach();
      this.#report('the card was removed, and is created again for the next client');
      return undefined;
    } catch (error) {
      return `the card was removed, and cannot be created again: ${errorText(error).message}`;
    }
  }

  /** The client is gone. The next one finds the card as after power-on. */
  async #powerOn(): Promise<void> {
    try {
      await this.vm.reset();
    } catch (error) {
      // The VM has ended.
      if (!(error instanceof UpcallError)) throw error;
    }
  }
}
