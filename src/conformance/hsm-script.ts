/**
 * HsmScript: the project's HSM under the commands of a conformance script, in one thread. The recorded scripts in
 * conformance/driver say what Linux' own driver answered to the same commands; conformance/README.md says what each
 * command means and what a line of output holds.
 */

import { addressRange } from '../hsm/address-range.js';
import type { HsmEvent } from '../hsm/hsm-observer.js';
import type { IoClient } from '../hsm/io-client.js';
import { HypervisorServiceModule } from '../hsm/service-module.js';
import { VmRequests } from '../hsm/vm-requests.js';
import { Upcall } from '../hypervisor/upcall.js';
import { Direction, IoRequestType, SLOT_COUNT } from '../io-request/layout.js';
import { SharedBuffer } from '../io-request/shared-buffer.js';
import { KernelClient, type HandlerMode, type KernelClientEvent } from './kernel-client.js';
import { ScriptWords } from './script-words.js';
import { dumpSlot, putRequest, putValue, slotHex } from './scripted-slot.js';

const EINVAL = -22;
const MAX_VM_ID = 0xfffe;
const MAX_ERRNO = 4095;
const MAX_U32 = 0xffff_ffff;
const TYPES: Readonly<Record<string, number>> = {
  pio: IoRequestType.PORT,
  mmio: IoRequestType.MMIO,
  pcicfg: IoRequestType.PCI,
};

type ScriptEvent =
  | KernelClientEvent
  | { readonly notify: readonly [number, number] }
  | { readonly sleep: number }
  | { readonly log: HsmEvent['kind'] | 'bad-range' };

/** One line of output. */
export interface ScriptAnswer {
  readonly op: string;
  readonly ret: number;
  readonly events: readonly ScriptEvent[];
  readonly vm: number;
  readonly states: readonly number[];
  readonly maps: Readonly<Record<string, string>>;
  readonly cf8: string;
  readonly slots?: readonly object[];
  readonly hex?: string;
}

interface ScriptVm {
  readonly id: number;
  readonly vcpus: number;
  readonly buffer: SharedBuffer;
  readonly requests: VmRequests;
  /** Oldest first, the default client among them. */
  readonly clients: IoClient[];
}

/** What a command adds to its line of output. */
interface Extra {
  slots?: object[];
  hex?: string;
}

export class HsmScript {
  readonly #module: HypervisorServiceModule;
  readonly #vms = new Map<number, ScriptVm>();
  #current: ScriptVm | undefined;
  #events: ScriptEvent[] = [];
  #notifyResult = 0;
  #runsInSleep = false;

  constructor() {
    this.#module = new HypervisorServiceModule({ upcall: new Upcall(), turn: () => Promise.resolve() });
  }

  /** Undefined for an empty line or a comment. Rejects with AcrnError on a line that is no command. */
  async command(line: string): Promise<ScriptAnswer | undefined> {
    const words = new ScriptWords(line);
    if (!words.hasMore) return undefined;
    const op = words.word('a command');
    if (this.#current === undefined && op !== 'vm') throw words.error('the first command of a script makes a VM');
    this.#events = [];
    const extra: Extra = {};
    const ret = await this.#do(op, words, extra);
    const vm = this.#vm;
    return {
      op,
      ret,
      events: this.#events,
      vm: vm.id,
      states: vm.buffer.slots.slice(0, vm.vcpus).map((slot) => slot.state),
      maps: Object.fromEntries(
        vm.clients.map((client) => [client.name, `0x${vm.requests.assignedSlots(client).toString(16)}`]),
      ),
      cf8: `0x${vm.requests.pciConfig.address.toString(16)}`,
      ...extra,
    };
  }

  get #vm(): ScriptVm {
    if (this.#current === undefined) throw new Error('the first command of a script makes a VM');
    return this.#current;
  }

  async #do(op: string, words: ScriptWords, extra: Extra): Promise<number> {
    const { requests, buffer } = this.#current ?? {};
    if (requests === undefined || buffer === undefined || op === 'vm') return this.#createVm(words);
    switch (op) {
      case 'use':
        return this.#use(words);
      case 'client':
        return this.#createClient(words);
      case 'mode': {
        const client = this.#kernelClient(words);
        client.mode = handlerMode(words, 'ok');
        return 0;
      }
      case 'default':
        return this.#createDefault(words);
      case 'add':
      case 'del':
        return this.#changeRange(op, words);
      case 'put':
        return this.#put(words);
      case 'upcall':
        words.end();
        this.#module.worker.pass();
        return 0;
      case 'run': {
        const client = this.#kernelClient(words);
        words.end();
        client.run(requests, this.#events);
        return 0;
      }
      case 'runall':
        words.end();
        this.#runAll(this.#vm);
        return 0;
      case 'value':
        putValue(buffer, slotIndex(words), words.u64('a value'));
        words.end();
        return 0;
      case 'complete': {
        const vcpu = words.integer('a vCPU', 0, MAX_U32);
        words.end();
        // The driver hands its u32 on as a u16.
        return requests.finishDefault(vcpu & 0xffff);
      }
      case 'free': {
        const slot = buffer.slot(slotIndex(words));
        words.end();
        return slot.release() ? 0 : EINVAL;
      }
      case 'onsleep':
        this.#runsInSleep = words.oneOf('what happens', ['run', 'none']) === 'run';
        words.end();
        return 0;
      case 'clear':
        words.end();
        await requests.clear();
        return 0;
      case 'clearing':
        requests.isClearing = words.integer('the flag', 0, 1) === 1;
        words.end();
        return 0;
      case 'destroy':
        return this.#destroy(words);
      case 'hcallfail':
        this.#notifyResult = words.integer('a result', -MAX_ERRNO, 0);
        words.end();
        return 0;
      case 'dump':
        extra.slots = this.#dump(words);
        return 0;
      case 'hex':
        extra.hex = slotHex(buffer, slotIndex(words));
        words.end();
        return 0;
      default:
        throw words.error(`there is no command ${op}`);
    }
  }

  #createVm(words: ScriptWords): number {
    const id = words.integer("the VM's ID", 0, MAX_VM_ID);
    const vcpus = words.integer('how many vCPUs', 1, SLOT_COUNT);
    words.end();
    if (this.#vms.has(id)) throw words.error(`there is a VM ${id} already`);
    const buffer = new SharedBuffer();
    const requests = new VmRequests({
      vmId: id,
      buffer,
      hypercalls: {
        vcpuCount: vcpus,
        notifyRequestFinish: (vcpu) => {
          this.#events.push({ notify: [id, vcpu] });
          return this.#notifyResult;
        },
      },
      observer: { event: (event) => this.#events.push({ log: event.kind }) },
      clientTimeoutMs: Infinity,
      sleep: (ms) => {
        this.#events.push({ sleep: ms });
        if (this.#runsInSleep) this.#runAll(vm);
        return Promise.resolve();
      },
    });
    const vm: ScriptVm = { id, vcpus, buffer, requests, clients: [] };
    this.#vms.set(id, vm);
    this.#module.addVm(requests);
    this.#current = vm;
    return 0;
  }

  #use(words: ScriptWords): number {
    const id = words.integer("the VM's ID", 0, MAX_VM_ID);
    words.end();
    const vm = this.#vms.get(id);
    if (vm === undefined) throw words.error(`there is no VM ${id}`);
    this.#current = vm;
    return 0;
  }

  #createClient(words: ScriptWords): number {
    const name = this.#newName(words);
    const client = new KernelClient(name, handlerMode(words));
    this.#vm.requests.createClient(client);
    this.#vm.clients.push(client);
    return 0;
  }

  #createDefault(words: ScriptWords): number {
    const { requests, clients } = this.#vm;
    if (requests.defaultClient !== undefined) {
      words.word('a name');
      words.end();
      return requests.createDefaultClient({ name: '', notify: () => undefined });
    }
    const client: IoClient = { name: this.#newName(words), notify: () => undefined };
    words.end();
    clients.push(client);
    return requests.createDefaultClient(client);
  }

  #changeRange(op: 'add' | 'del', words: ScriptWords): number {
    const client = this.#client(words);
    const type = words.oneOf('the kind of range', ['pio', 'mmio']) === 'pio' ? IoRequestType.PORT : IoRequestType.MMIO;
    const start = words.u64('a start');
    const end = words.u64('an end');
    words.end();
    if (end < start) {
      // Deleting looks for an equal range, and no range ends before it starts.
      if (op === 'del') return 0;
      this.#events.push({ log: 'bad-range' });
      return EINVAL;
    }
    const { requests } = this.#vm;
    if (op === 'del') requests.removeRange(client, addressRange(type, start, end));
    // The default client gets everything already; its ranges are never looked at.
    else if (client instanceof KernelClient && !requests.addRange(client, addressRange(type, start, end)))
      throw words.error("the VM's ranges are used up");
    return 0;
  }

  #put(words: ScriptWords): number {
    const index = slotIndex(words);
    const typeWord = words.word('a type');
    const type = TYPES[typeWord] ?? (/^\d+$/.test(typeWord) ? Number(typeWord) | 0 : undefined);
    if (type === undefined) throw words.error(`"${typeWord}" is not pio, mmio, pcicfg or a number`);
    const isWrite = words.oneOf('the direction', ['r', 'w']) === 'w';
    const address = words.u64('an address');
    const size = words.u64('a size');
    const value = words.u64('a value');
    const polling = words.hasMore && words.integer('the polling flag', 0, MAX_U32) !== 0;
    words.end();
    const direction = isWrite ? Direction.WRITE : Direction.READ;
    return putRequest(this.#vm.buffer, index, { type, direction, address, size, value, polling }) ? 0 : EINVAL;
  }

  #runAll(vm: ScriptVm): void {
    for (const client of vm.clients) if (client instanceof KernelClient) client.run(vm.requests, this.#events);
  }

  #destroy(words: ScriptWords): number {
    const client = this.#client(words);
    words.end();
    const { requests, clients } = this.#vm;
    this.#module.destroyClient(requests, client);
    clients.splice(clients.indexOf(client), 1);
    // The driver queues its worker when it goes on after the destruction.
    this.#module.worker.pass();
    return 0;
  }

  #dump(words: ScriptWords): object[] {
    const { vcpus, buffer } = this.#vm;
    const only = words.hasMore ? slotIndex(words) : undefined;
    words.end();
    if (only !== undefined) return [dumpSlot(buffer, only)];
    return Array.from({ length: vcpus }, (_, index) => dumpSlot(buffer, index));
  }

  #client(words: ScriptWords): IoClient {
    const name = words.word('a name');
    const client = this.#vm.clients.find((candidate) => candidate.name === name);
    if (client === undefined) throw words.error(`VM ${this.#vm.id} has no client ${name}`);
    return client;
  }

  #kernelClient(words: ScriptWords): KernelClient {
    const client = this.#client(words);
    if (client instanceof KernelClient) return client;
    throw words.error(`${client.name} is the default client, which has no handler`);
  }

  /** `maps` has a client's name as its key. */
  #newName(words: ScriptWords): string {
    const name = words.word('a name');
    if (this.#vm.clients.some((client) => client.name === name))
      throw words.error(`VM ${this.#vm.id} has a client ${name} already`);
    return name;
  }
}

function slotIndex(words: ScriptWords): number {
  return words.integer('a slot', 0, SLOT_COUNT - 1);
}

/** The words after a client's name: nothing or `plain`, `value HEX`, `fail ERRNO`. */
function handlerMode(words: ScriptWords, plain?: 'ok'): HandlerMode {
  let mode: HandlerMode = { kind: 'address' };
  if (words.hasMore || plain !== undefined) {
    const kind = words.oneOf('what the handler does', ['ok', 'value', 'fail']);
    if (kind === 'value') mode = { kind, value: words.u64('a value') };
    else if (kind === 'fail') mode = { kind, errno: words.integer('an errno', 0, MAX_ERRNO) };
  }
  words.end();
  return mode;
}
