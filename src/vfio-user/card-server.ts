/**
 * CardServer: one PCI card with the User VM around it, and the client that has it.
 *
 * Called by: serveVfioUser, which accepts clients. Threads: the Service VM's.
 *
 * The hypervisor of the VM is the client (client-hypervisor.ts). So each access is a request in a
 * shared page, and the tools of a VM show the card: trace, statistics, faults, breakpoints, the
 * live page.
 *
 * One client at a time. When it is gone, the VM is reset, and with it the card.
 */

import type { DescriptorStream } from '../host/descriptor-streams.js';
import type { EventFds } from '../host/event-fds.js';
import type { MemoryArena } from '../host/memory-arena.js';
import { CardFunction } from '../device-model/pci/card-function.js';
import type { PciCard } from '../device-model/pci/pci-card.js';
import { RegionMemory } from '../hypervisor/region-memory.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { ServiceVm } from '../vm/service-vm.js';
import type { UserVm } from '../vm/user-vm.js';
import type { UserVmOptions } from '../vm/user-vm-options.js';
import type { AttachedCard } from '../vm/vm-cards.js';
import { ClientConnection, type ClientCounters } from './client-connection.js';
import { ClientHypervisor } from './client-hypervisor.js';
import { DmaMap } from './dma-map.js';
import { ServedFunction } from './served-function.js';

/** Creates the card for the VM to which it will be attached. */
export type CreateServedCard = (vm: UserVm) => PciCard | Promise<PciCard>;

export interface CardServerOptions {
  readonly card: PciCard | CreateServedCard;
  readonly vm: Pick<UserVmOptions, 'name' | 'clientTimeoutMs' | 'late' | 'statistics' | 'faults'>;
  /** Called once, before the card is created and attached. */
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
  #client: ClientConnection | undefined;
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

  /** Resolves when the next client finds the card as after power-on. */
  get ready(): Promise<void> {
    return this.#ready;
  }

  /** A program has connected. It is refused if another one has the card. */
  connect(stream: DescriptorStream): void {
    const { report, now = () => performance.now() } = this.#parts.options;
    const { name } = this.vm;
    const who = stream.pid === undefined ? 'a client' : `process ${stream.pid}`;
    if (this.#client !== undefined) {
      report(`${name}: ${who} is refused: another client has the card`);
      stream.close();
      return;
    }
    report(`${name}: ${who} has the card`);
    const client = new ClientConnection({
      stream,
      served: this.#function,
      now,
      deliverPin: () => this.#parts.hypervisor.vm.deliverPin(),
      onEnd: (reason) => {
        report(`${name}: ${who} is gone${reason === undefined ? '' : `: it ${reason}`}`);
        this.#last = client.counters;
        this.#client = undefined;
        this.#ready = this.#powerOn();
      },
    });
    this.#client = client;
    void this.#ready.then(() => {
      if (this.#client === client) this.memory.remote = client.session.dma;
      client.begin();
    });
  }

  /** A client that is connected loses the card. */
  async close(): Promise<void> {
    this.#client?.end('has lost it: the server ends');
    await this.#ready;
    await this.#parts.serviceVm.close();
    // What the card had to write is written.
    await this.#attached?.closed;
  }

  get #function(): ServedFunction {
    if (this.served === undefined) throw new Error('the card is not attached yet');
    return this.served;
  }

  async #attach(): Promise<void> {
    const { options, hypervisor } = this.#parts;
    const { events } = options;
    const card = typeof options.card === 'function' ? await options.card(this.vm) : options.card;
    this.#attached = this.vm.attachCard(card, ADDRESS);
    const fn = [...this.vm.pci.functions()].find(({ function: one }) => one instanceof CardFunction)?.function;
    if (!(fn instanceof CardFunction)) throw new Error(`${card.name} has no function`);
    this.served = new ServedFunction({
      fn,
      contexts: hypervisor.vm.contexts,
      dmaMap: this.dmaMap,
      signal: (descriptor) => events?.write(descriptor),
      acceptEvent: (descriptor) => events?.adopt(descriptor) === true,
      closeDescriptor: (descriptor) => events?.close(descriptor),
    });
    await this.vm.start();
  }

  /** The client is gone. The next one finds the card as after power-on. */
  async #powerOn(): Promise<void> {
    this.memory.remote = undefined;
    this.#function.clear();
    try {
      await this.vm.reset();
    } catch (error) {
      // The VM has ended.
      if (!(error instanceof UpcallError)) throw error;
    }
  }
}
