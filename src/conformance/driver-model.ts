/**
 * DriverModel: what the driver's request path does, written down from its specification as plainly as possible: bytes of a
 * page, lists of clients and ranges, bigints. It shares no code with the HSM, so that random scripts can hold one against
 * the other. It knows the legal commands of conformance/README.md and expects them to be well-formed.
 */

const MASK64 = (1n << 64n) - 1n;
const MASK32 = 0xffff_ffffn;
const PENDING = 0;
const COMPLETE = 1;
const PROCESSING = 2;
const FREE = 3;
const TYPES: Readonly<Record<string, number>> = { pio: 0, mmio: 1, pcicfg: 2 };

interface ModelClient {
  readonly name: string;
  readonly isDefault: boolean;
  mode: readonly string[];
  /** Newest first. */
  readonly ranges: { readonly type: number; readonly start: bigint; readonly end: bigint }[];
  readonly map: Set<number>;
}

interface ModelVm {
  readonly id: number;
  readonly vcpus: number;
  readonly page: DataView;
  /** Oldest first, the default client among them. */
  readonly clients: ModelClient[];
  configAddress: bigint;
  isClearing: boolean;
}

export class DriverModel {
  /** Newest first. */
  readonly #vms: ModelVm[] = [];
  #current: ModelVm | undefined;
  #events: object[] = [];
  #notifyResult = 0;
  #runsInSleep = false;

  /** The line of output as the driver's recording would have it. */
  command(line: string): object {
    const [op = '', ...words] = line.split(' ');
    this.#events = [];
    const extra: Record<string, unknown> = {};
    const ret = this.#do(op, words, extra);
    const vm = this.#vm;
    const states = Array.from({ length: vm.vcpus }, (_, slot) => u32(vm, slot, 136));
    const maps = Object.fromEntries(vm.clients.map((client) => [client.name, hex(bitmap(client.map))]));
    return { op, ret, events: this.#events, vm: vm.id, states, maps, cf8: hex(vm.configAddress), ...extra };
  }

  /** For those who choose the next command: the slots of the current VM in `state`. */
  slots(state: number): number[] {
    const vm = this.#vm;
    return Array.from({ length: vm.vcpus }, (_, slot) => slot).filter((slot) => u32(vm, slot, 136) === state);
  }

  get clients(): readonly {
    readonly name: string;
    readonly isDefault: boolean;
    readonly pending: readonly number[];
  }[] {
    return this.#vm.clients.map(({ name, isDefault, map }) => ({ name, isDefault, pending: [...map] }));
  }

  get vmIds(): readonly number[] {
    return this.#vms.map(({ id }) => id);
  }

  get #vm(): ModelVm {
    if (this.#current === undefined) throw new Error('no VM');
    return this.#current;
  }

  #do(op: string, words: readonly string[], extra: Record<string, unknown>): number {
    const [first = '', second = ''] = words;
    if (op === 'vm') {
      const page = new DataView(new ArrayBuffer(4096));
      for (let slot = 0; slot < 16; slot++) page.setUint32(slot * 256 + 136, FREE, true);
      const vm = { id: Number(first), vcpus: Number(second), page, clients: [], configAddress: 0n, isClearing: false };
      this.#vms.unshift(vm);
      this.#current = vm;
      return 0;
    }
    const vm = this.#vm;
    const named = (): ModelClient => {
      const client = vm.clients.find(({ name }) => name === first);
      if (client === undefined) throw new Error(`no client ${first}`);
      return client;
    };
    switch (op) {
      case 'use':
        this.#current = this.#vms.find(({ id }) => id === Number(first));
        return 0;
      case 'client':
        vm.clients.push({ name: first, isDefault: false, mode: words.slice(1), ranges: [], map: new Set() });
        return 0;
      case 'mode':
        named().mode = words.slice(1);
        return 0;
      case 'default':
        if (vm.clients.some(({ isDefault }) => isDefault)) return -17;
        vm.clients.push({ name: first, isDefault: true, mode: [], ranges: [], map: new Set() });
        return 0;
      case 'add':
      case 'del': {
        const range = { type: TYPES[second] ?? 0, start: BigInt(words[2] ?? 0), end: BigInt(words[3] ?? 0) };
        const { ranges } = named();
        if (op === 'add') {
          if (range.end < range.start) {
            this.#events.push({ log: 'bad-range' });
            return -22;
          }
          ranges.unshift(range);
        } else {
          const at = ranges.findIndex((r) => r.type === range.type && r.start === range.start && r.end === range.end);
          if (at >= 0) ranges.splice(at, 1);
        }
        return 0;
      }
      case 'put':
        put(vm, words);
        return 0;
      case 'upcall':
        for (const one of this.#vms) this.#dispatch(one);
        return 0;
      case 'run':
        this.#run(vm, named());
        return 0;
      case 'runall':
        this.#runAll(vm);
        return 0;
      case 'value':
        setValue(vm, Number(first), BigInt(second));
        return 0;
      case 'complete': {
        const vcpu = Number(first) % 65536;
        const client = vm.clients.find(({ isDefault }) => isDefault);
        if (client === undefined) return 0;
        if (vcpu >= vm.vcpus) return -22;
        client.map.delete(vcpu);
        return this.#complete(vm, vcpu);
      }
      case 'free':
        vm.page.setUint32(Number(first) * 256 + 136, FREE, true);
        return 0;
      case 'onsleep':
        this.#runsInSleep = first === 'run';
        return 0;
      case 'clear':
        this.#clear(vm);
        return 0;
      case 'clearing':
        vm.isClearing = first === '1';
        return 0;
      case 'destroy':
        vm.clients.splice(vm.clients.indexOf(named()), 1);
        for (const one of this.#vms) this.#dispatch(one);
        return 0;
      case 'hcallfail':
        this.#notifyResult = Number(first);
        return 0;
      case 'hex':
        extra.hex = Buffer.from(vm.page.buffer, Number(first) * 256, 256).toString('hex');
        return 0;
      default:
        throw new Error(`no command ${op}`);
    }
  }

  #dispatch(vm: ModelVm): void {
    for (let slot = 0; slot < vm.vcpus; slot++) {
      if (u32(vm, slot, 136) !== PENDING) continue;
      if (vm.isClearing || this.#answersConfig(vm, slot)) {
        this.#complete(vm, slot);
        continue;
      }
      const client = findClient(vm, slot);
      if (client === undefined) {
        this.#events.push({ log: 'no-client' });
        return;
      }
      vm.page.setUint32(slot * 256 + 132, client.isDefault ? 0 : 1, true);
      vm.page.setUint32(slot * 256 + 136, PROCESSING, true);
      client.map.add(slot);
    }
  }

  /** True when the request is answered; it may also have become a PCI request. */
  #answersConfig(vm: ModelVm, slot: number): boolean {
    const at = slot * 256;
    const { page } = vm;
    if (u32(vm, slot, 0) !== 0) return false;
    const port = page.getBigUint64(at + 72, true);
    const isWrite = u32(vm, slot, 64) === 1;
    if (port === 0xcf8n) {
      if (isWrite) vm.configAddress = BigInt(u32(vm, slot, 88));
      else page.setUint32(at + 88, Number(vm.configAddress), true);
      return true;
    }
    if (port < 0xcfcn || port > 0xcffn) return false;
    const address = vm.configAddress;
    if (address < 0x8000_0000n) {
      if (!isWrite) page.setUint32(at + 88, 0xffff_ffff, true);
      return true;
    }
    page.setUint32(at, 2, true);
    page.setUint32(at + 92, Number((address >> 16n) & 0xffn), true);
    page.setUint32(at + 96, Number((address >> 11n) & 0x1fn), true);
    page.setUint32(at + 100, Number((address >> 8n) & 7n), true);
    page.setUint32(at + 104, Number((address & 0xfcn) + ((address >> 16n) & 0xf00n) + port - 0xcfcn), true);
    return false;
  }

  #complete(vm: ModelVm, vcpu: number): number {
    const isPolling = u32(vm, vcpu, 4) !== 0;
    vm.page.setUint32(vcpu * 256 + 136, COMPLETE, true);
    if (isPolling) return 0;
    this.#events.push({ notify: [vm.id, vcpu] });
    if (this.#notifyResult < 0) this.#events.push({ log: 'notify-failed' });
    return this.#notifyResult;
  }

  #run(vm: ModelVm, client: ModelClient): void {
    while (client.map.size > 0) {
      const slot = Math.min(...client.map);
      const type = u32(vm, slot, 0);
      this.#events.push({ handle: client.name, vcpu: slot, type });
      const [kind, argument] = client.mode;
      if (kind === 'fail') {
        this.#events.push({ log: 'handler-failed' });
        return;
      }
      const value = kind === 'value' ? BigInt(argument ?? 0) : vm.page.getBigUint64(slot * 256 + 72, true);
      if (u32(vm, slot, 64) === 0) setValue(vm, slot, value);
      client.map.delete(slot);
      this.#complete(vm, slot);
    }
  }

  #runAll(vm: ModelVm): void {
    for (const client of vm.clients) if (!client.isDefault) this.#run(vm, client);
  }

  #clear(vm: ModelVm): void {
    vm.isClearing = true;
    let retries = 10;
    for (;;) {
      const isBusy = vm.clients.some((client) => !client.isDefault && client.map.size > 0);
      if (!isBusy) break;
      this.#events.push({ sleep: 10 });
      if (this.#runsInSleep) this.#runAll(vm);
      if (--retries === 0) break;
    }
    if (retries === 0) this.#events.push({ log: 'flush-timeout' });
    const client = vm.clients.find(({ isDefault }) => isDefault);
    for (const slot of [...(client?.map ?? [])].sort((a, b) => a - b)) {
      client?.map.delete(slot);
      this.#complete(vm, slot);
    }
    vm.isClearing = false;
  }
}

function findClient(vm: ModelVm, slot: number): ModelClient | undefined {
  const type = u32(vm, slot, 0);
  const address = vm.page.getBigUint64(slot * 256 + 72, true);
  const last = (address + vm.page.getBigUint64(slot * 256 + 80, true) - 1n) & MASK64;
  const matches = (client: ModelClient): boolean =>
    (type === 0 || type === 1) &&
    client.ranges.some((range) => range.type === type && address >= range.start && last <= range.end);
  const newestFirst = [...vm.clients].reverse();
  return newestFirst.find((client) => !client.isDefault && matches(client)) ?? vm.clients.find((c) => c.isDefault);
}

function put(vm: ModelVm, words: readonly string[]): void {
  const [slot = '', type = '', direction, address, size, value, polling] = words;
  const at = Number(slot) * 256;
  const { page } = vm;
  for (let i = 0; i < 132; i++) page.setUint8(at + i, 0);
  const typeNumber = TYPES[type] ?? Number(type);
  page.setUint32(at, typeNumber, true);
  page.setUint32(at + 4, Number(polling ?? 0), true);
  page.setUint32(at + 64, direction === 'w' ? 1 : 0, true);
  page.setBigUint64(at + 72, BigInt(address ?? 0), true);
  page.setBigUint64(at + 80, BigInt(size ?? 0), true);
  setValue(vm, Number(slot), BigInt(value ?? 0));
  page.setUint32(at + 136, PENDING, true);
}

/** 64 bits for memory, 32 for everything else. */
function setValue(vm: ModelVm, slot: number, value: bigint): void {
  if (u32(vm, slot, 0) === 1) vm.page.setBigUint64(slot * 256 + 88, value, true);
  else vm.page.setUint32(slot * 256 + 88, Number(value & MASK32), true);
}

function u32(vm: ModelVm, slot: number, offset: number): number {
  return vm.page.getUint32(slot * 256 + offset, true);
}

function bitmap(slots: ReadonlySet<number>): number {
  return [...slots].reduce((bits, slot) => bits | (1 << slot), 0);
}

function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}
