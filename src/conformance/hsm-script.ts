/**
 * HsmScript: the project's HSM under the commands of a conformance script, in one thread. The recorded scripts in
 * conformance/driver say what Linux' own driver answered to the same commands; conformance/README.md says what each
 * command means and what a line of output holds.
 */

import { addressRange } from '../hsm/address-range.js';
import type { AssignedRequest } from '../hsm/assigned-request.js';
import type { HsmEvent } from '../hsm/hsm-observer.js';
import type { IoClient } from '../hsm/io-client.js';
import { HypervisorServiceModule } from '../hsm/service-module.js';
import { VmRequests } from '../hsm/vm-requests.js';
import { Upcall } from '../hypervisor/upcall.js';
import { AcrnError } from '../io-request/acrn-error.js';
import { Direction, IoRequestType, SLOT_BYTES, SLOT_OFFSET } from '../io-request/layout.js';
import { SharedBuffer } from '../io-request/shared-buffer.js';

const EINVAL = -22;
const U64 = 64n;
const WORD = 0xffff_ffffn;
const TYPES: Readonly<Record<string, number>> = {
  pio: IoRequestType.PORT,
  mmio: IoRequestType.MMIO,
  pcicfg: IoRequestType.PCI,
};
/** The part of a slot that `put` zeroes: all up to the words that only the Service VM writes. */
const PUT_BYTES = SLOT_OFFSET.kernelHandled;

type ScriptEvent =
  | { readonly handle: string; readonly vcpu: number; readonly type: number }
  | { readonly notify: readonly [number, number] }
  | { readonly sleep: number }
  | { readonly log: string };

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

/** A client with a thread of its own in the driver: its requests wait until the script lets it run. */
class KernelClient implements IoClient {
  readonly name: string;
  mode: readonly string[];
  readonly #waiting = new Map<number, { readonly request: AssignedRequest; readonly ticket: number }>();

  constructor(name: string, mode: readonly string[]) {
    this.name = name;
    this.mode = mode;
  }

  notify(request: AssignedRequest): void {
    this.#waiting.set(request.vcpu, { request, ticket: request.ticket });
  }

  /** Until nothing is pending or the handler fails; lowest slot first. */
  run(requests: VmRequests, events: ScriptEvent[]): void {
    for (;;) {
      const bits = requests.assignedSlots(this);
      if (bits === 0) return;
      const vcpu = 31 - Math.clz32(bits & -bits);
      const waiting = this.#waiting.get(vcpu);
      if (waiting === undefined) throw new Error(`${this.name} was never given slot ${vcpu}`);
      const { request, ticket } = waiting;
      events.push({ handle: this.name, vcpu, type: request.type });
      if (this.mode[0] === 'fail') {
        events.push({ log: 'handler-failed' });
        return;
      }
      if (this.mode[0] === 'value') {
        const value = BigInt(this.mode[1] ?? 0);
        request.finish(ticket, Number(value & WORD) | 0, Number((value >> 32n) & WORD) | 0);
      } else request.finish(ticket, request.addressLow, request.addressHigh);
    }
  }
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

  /** Undefined for an empty line or a comment. Throws on a command that does not exist. */
  async command(line: string): Promise<ScriptAnswer | undefined> {
    const [op, ...words] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (op === undefined || op === '') return undefined;
    this.#events = [];
    const extra: { slots?: object[]; hex?: string } = {};
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

  async #do(op: string, words: readonly string[], extra: { slots?: object[]; hex?: string }): Promise<number> {
    const [first = '', second = ''] = words;
    switch (op) {
      case 'vm':
        this.#createVm(Number(first), Number(second));
        return 0;
      case 'use': {
        const vm = this.#vms.get(Number(first));
        if (vm === undefined) throw new Error(`there is no VM ${first}`);
        this.#current = vm;
        return 0;
      }
      case 'client': {
        const client = new KernelClient(first, words.slice(1));
        this.#vm.requests.createClient(client);
        this.#vm.clients.push(client);
        return 0;
      }
      case 'mode':
        this.#kernelClient(first).mode = words.slice(1);
        return 0;
      case 'default':
        return this.#createDefault(first);
      case 'add':
      case 'del':
        return this.#changeRange(op, first, words.slice(1));
      case 'put':
        return this.#put(words);
      case 'upcall':
        this.#module.worker.pass();
        return 0;
      case 'run':
        this.#kernelClient(first).run(this.#vm.requests, this.#events);
        return 0;
      case 'runall':
        this.#runAll(this.#vm);
        return 0;
      case 'value':
        this.#setValue(Number(first), BigInt(second));
        return 0;
      case 'complete':
        return this.#vm.requests.finishDefault(Number(first) & 0xffff);
      case 'free':
        return this.#vm.buffer.slot(Number(first)).release() ? 0 : EINVAL;
      case 'onsleep':
        this.#runsInSleep = first === 'run';
        return 0;
      case 'clear':
        await this.#vm.requests.clear();
        return 0;
      case 'clearing':
        this.#vm.requests.isClearing = first === '1';
        return 0;
      case 'destroy':
        this.#destroy(first);
        return 0;
      case 'hcallfail':
        this.#notifyResult = Number(first);
        return 0;
      case 'dump':
        extra.slots = this.#dump(words.length === 0 ? undefined : Number(first));
        return 0;
      case 'hex':
        extra.hex = Buffer.from(this.#vm.buffer.page, Number(first) * SLOT_BYTES, SLOT_BYTES).toString('hex');
        return 0;
      default:
        throw new Error(`there is no command ${op}`);
    }
  }

  #createVm(id: number, vcpus: number): void {
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
      observer: { event: (event) => this.#log(event) },
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
  }

  #log(event: HsmEvent): void {
    this.#events.push({ log: event.kind });
  }

  #createDefault(name: string): number {
    const client: IoClient = { name, notify: () => undefined };
    const result = this.#vm.requests.createDefaultClient(client);
    if (result === 0) this.#vm.clients.push(client);
    return result;
  }

  #changeRange(op: 'add' | 'del', name: string, [type, start, end]: readonly string[]): number {
    const client = this.#kernelClient(name);
    const kind = type === 'pio' ? IoRequestType.PORT : IoRequestType.MMIO;
    try {
      const range = addressRange(kind, BigInt(start ?? 0), BigInt(end ?? 0));
      if (op === 'add') this.#vm.requests.addRange(client, range);
      else this.#vm.requests.removeRange(client, range);
      return 0;
    } catch (error) {
      if (!(error instanceof AcrnError)) throw error;
      if (op === 'del') return 0;
      this.#events.push({ log: 'bad-range' });
      return error.errno ?? EINVAL;
    }
  }

  #put([slotWord, typeWord, directionWord, addressWord, sizeWord, valueWord, pollingWord]: readonly string[]): number {
    const vm = this.#vm;
    const index = Number(slotWord);
    const type = TYPES[typeWord ?? ''] ?? Number(typeWord);
    const address = BigInt.asUintN(Number(U64), BigInt(addressWord ?? 0));
    const value = BigInt.asUintN(Number(U64), BigInt(valueWord ?? 0));
    new Uint8Array(vm.buffer.page, index * SLOT_BYTES, PUT_BYTES).fill(0);
    const filled = vm.buffer
      .slot(index)
      .fill(
        type,
        directionWord === 'w' ? Direction.WRITE : Direction.READ,
        Number(address & WORD) | 0,
        Number(address >> 32n) | 0,
        Number(sizeWord),
        Number(value & WORD) | 0,
        type === IoRequestType.MMIO ? Number(value >> 32n) | 0 : 0,
        Number(pollingWord ?? 0) !== 0,
      );
    return filled ? 0 : EINVAL;
  }

  #runAll(vm: ScriptVm): void {
    for (const client of vm.clients) if (client instanceof KernelClient) client.run(vm.requests, this.#events);
  }

  #setValue(index: number, value: bigint): void {
    const slot = this.#vm.buffer.slot(index);
    if (slot.type === IoRequestType.MMIO) slot.setValue64(Number(value & WORD) | 0, Number((value >> 32n) & WORD) | 0);
    else slot.setValue(Number(value & WORD) | 0);
  }

  #destroy(name: string): void {
    const vm = this.#vm;
    const client = this.#kernelClient(name);
    this.#module.destroyClient(vm.requests, client);
    vm.clients.splice(vm.clients.indexOf(client), 1);
    // The driver queues its worker when it goes on after the destruction.
    this.#module.worker.pass();
  }

  #kernelClient(name: string): KernelClient {
    const client = this.#vm.clients.find((candidate) => candidate.name === name);
    if (client instanceof KernelClient) return client;
    throw new Error(`there is no kernel client ${name}`);
  }

  /** One slot, or all of the VM's vCPUs. */
  #dump(only: number | undefined): object[] {
    const vm = this.#vm;
    const indices = only === undefined ? Array.from({ length: vm.vcpus }, (_, index) => index) : [only];
    return indices.map((index) => {
      const slot = vm.buffer.slot(index);
      const low = BigInt(slot.valueLow >>> 0);
      const value = slot.type === IoRequestType.MMIO ? (BigInt(slot.valueHigh >>> 0) << 32n) | low : low;
      const where =
        slot.type === IoRequestType.PCI
          ? { bus: slot.pciBus, dev: slot.pciDevice, func: slot.pciFunction, reg: slot.pciRegister }
          : { addr: hex64(slot.addressLow, slot.addressHigh) };
      return {
        slot: index,
        polling: slot.completionPolling ? 1 : 0,
        state: slot.state,
        kernelHandled: slot.kernelHandled,
        dir: slot.direction,
        ...where,
        size: hex64(slot.sizeLow, slot.sizeHigh),
        value: `0x${value.toString(16)}`,
        type: slot.type,
      };
    });
  }
}

function hex64(low: number, high: number): string {
  return `0x${((BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)).toString(16)}`;
}
