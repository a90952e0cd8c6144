/**
 * MachineBench: a VM on the CPU emulator v86 that is reset for each program of the fuzz target
 * "code". Its client covers all ports and all device memory and counts the bytes of each access.
 *
 * Called by: machine-code.ts.
 *
 * The VM is made through /dev/acrn_hsm, whose ioctls pause, reset and start it without loading an
 * image.
 */

import {
  addressRange,
  HsmDevice,
  Ioctl,
  IoRequestType,
  MappedMemory,
  PAGE_BYTES,
  ServiceVm,
  V86Hypervisor,
} from '../../index.js';
import type { AssignedRequest, HsmFile, IoClient, UserVm, UserVmEvent } from '../../index.js';
import { VM_CREATION } from '../../acrn-hsm/struct-layout.js';
import { StructView } from '../../acrn-hsm/struct-view.js';
import { Direction } from '../../io-request/layout.js';
import { expect, within } from '../fuzz-target.js';
import { CODE_ADDRESS, type GuestMode } from './guest-modes.js';
import { countByte, type ByteCounts, type EncodedProgram } from './machine-program.js';

const MEMORY_BYTES = 4 << 20;
/** For one program. It takes milliseconds, but the machine may be busy. */
const LIMIT_MS = 45_000;
const MAX_U64 = (1n << 64n) - 1n;
/** A message lists at most this number of differences. */
const SHOWN = 8;

export class MachineBench {
  readonly #serviceVm = new ServiceVm(new V86Hypervisor());
  readonly #device: HsmDevice;
  #file!: HsmFile;
  readonly #client = new CountingClient();
  /**
   * The VM's events since the current program began. There must be exactly one: the guest has
   * halted.
   */
  #events: UserVmEvent[] = [];
  #notifyWaiter: () => void = () => undefined;

  static async create(): Promise<MachineBench> {
    const bench = new MachineBench();
    await bench.#create();
    return bench;
  }

  private constructor() {
    this.#device = new HsmDevice(this.#serviceVm, {
      memoryBytes: MEMORY_BYTES,
      onVm: (vm) =>
        vm.onEvent((event) => {
          this.#events.push(event);
          this.#notifyWaiter();
        }),
    });
  }

  async #create(): Promise<void> {
    await this.#device.load();
    const caller = new MappedMemory();
    this.#file = this.#device.open(caller);
    const creation = caller.allocate(VM_CREATION.bytes);
    const page = caller.allocate(PAGE_BYTES);
    caller.write(creation, new StructView(VM_CREATION).set('ioreq_buf', page).bytes);
    expect((await this.#file.ioctl(Ioctl.CREATE_VM, creation)) === 0, 'no VM');
    this.#vm.createClient(this.#client, [
      addressRange(IoRequestType.PORT, 0n, 0xffffn),
      addressRange(IoRequestType.MMIO, 0n, MAX_U64),
    ]);
  }

  get #vm(): UserVm {
    return this.#file.vm as UserVm;
  }

  /**
   * Runs a program until the guest halts. Rejects with a Violation if it does not halt, and if an
   * access did not arrive exactly once.
   */
  async play(mode: GuestMode, { code, expected, text }: EncodedProgram): Promise<void> {
    const { hypercalls } = this.#vm;
    const { memory, shared } = hypercalls;
    mode.setUp?.(memory);
    memory.write(CODE_ADDRESS, Uint8Array.from(code));
    const before = shared.counters(0);
    this.#client.clear();
    this.#events = [];
    expect(hypercalls.setVcpuRegs(0, mode.registers) === 0, 'the registers were refused');
    expect((await this.#file.ioctl(Ioctl.START_VM)) === 0, 'the VM did not start');
    const listing = (): string => `${mode.name}: ${text.join('; ')}`;
    const event = await within(LIMIT_MS, listing(), this.#event());
    await within(LIMIT_MS, 'pause and reset', this.#restart());
    expect(event.kind === 'halted', () => `${JSON.stringify(event)} of ${listing()}`);
    expect(this.#events.length === 1, () => `${JSON.stringify(this.#events)} of ${listing()}`);

    const after = shared.counters(0);
    const requests = after.requests - before.requests;
    const accesses = after.portAccesses + after.mmioAccesses - before.portAccesses - before.mmioAccesses;
    const { counts, seen } = this.#client;
    expect(requests === seen, () => `${requests} requests, ${seen} seen, of ${listing()}`);
    expect(accesses === requests, () => `${accesses} accesses and ${requests} requests of ${listing()}`);
    const difference = compare(expected, counts);
    expect(difference === '', () => `${difference} in ${listing()}`);
  }

  async close(): Promise<void> {
    await within(LIMIT_MS, 'unload', this.#device.unload());
    await within(LIMIT_MS, 'close', this.#serviceVm.close());
  }

  /** Resolves to the first event of the current program. */
  async #event(): Promise<UserVmEvent> {
    for (;;) {
      const [event] = this.#events;
      if (event !== undefined) return event;
      await new Promise<void>((resolve) => (this.#notifyWaiter = resolve));
    }
  }

  async #restart(): Promise<void> {
    expect((await this.#file.ioctl(Ioctl.PAUSE_VM)) === 0, 'the VM did not pause');
    expect((await this.#file.ioctl(Ioctl.CLEAR_VM_IOREQ)) === 0, 'its requests were not cleared');
    expect((await this.#file.ioctl(Ioctl.RESET_VM)) === 0, 'the VM was not reset');
  }
}

/** Completes every request and counts the accessed bytes. */
class CountingClient implements IoClient {
  readonly name = 'counting';
  readonly counts = new Map<string, number>();
  seen = 0;

  clear(): void {
    this.counts.clear();
    this.seen = 0;
  }

  notify(request: AssignedRequest): void {
    this.seen++;
    const isRead = request.direction === Direction.READ;
    const kind = isRead ? 'r' : 'w';
    const address = request.addressLow >>> 0;
    for (let byte = 0; byte < request.size; byte++)
      countByte(this.counts, request.type === IoRequestType.PORT ? kind : kind.toUpperCase(), address + byte);
    request.finish(request.ticket, 0, 0);
  }
}

/** Describes bytes that were accessed more or less often than expected. */
function compare(expected: ByteCounts, actual: ByteCounts): string {
  const wrong: string[] = [];
  for (const key of new Set([...expected.keys(), ...actual.keys()])) {
    const [should, is] = [expected.get(key) ?? 0, actual.get(key) ?? 0];
    if (should !== is) wrong.push(`${key}: ${is} instead of ${should}`);
  }
  return wrong.slice(0, SHOWN).join(', ');
}
