/**
 * RequestContexts: makes requests in the shared page of the accesses of a client. A client names no
 * vCPU, so a slot of the page is a context here: an access takes a free one and keeps it until its
 * last byte is answered.
 *
 * Called by: ServedFunction begins accesses. ClientVm calls `finished`, the completion hypercall.
 * Threads: the Service VM's, which is the hypervisor here as well.
 *
 * An access of 1, 2, 4 or 8 bytes is one request, as a vCPU makes it. Others are cut into aligned
 * ones. An access to configuration space is a write to port 0xCF8 and one to 0xCFC…0xCFF, which the
 * HSM turns into a request for the function.
 */

import { Direction, IoRequestType, SLOT_COUNT } from '../io-request/layout.js';
import type { SharedBuffer } from '../io-request/shared-buffer.js';
import type { Slot } from '../io-request/slot.js';
import { VcpuCounter, type VmSharedState } from '../hypervisor/vm-shared-state.js';

export interface ClientAccess {
  readonly isWrite: boolean;
  readonly space: 'memory' | 'ports' | 'config';
  /** The address of the first byte. In configuration space: its register. */
  readonly start: number;
  /** What is written, or room for what is read. */
  readonly bytes: Uint8Array;
  /** Called once. False: the machine was reset or ended before. */
  readonly done: (isDone: boolean) => void;
}

export interface RequestContextsOptions {
  readonly buffer: SharedBuffer;
  readonly shared: VmSharedState;
  /** Of the function in configuration space, as port 0xCF8 takes it. */
  readonly configAddress: number;
  /** A slot is PENDING: dispatches it, now or later. */
  readonly raise: () => void;
}

const CONFIG_ADDRESS = 0xcf8;
const CONFIG_DATA = 0xcfc;
const CONFIG_ENABLE = 0x8000_0000;
const WORD = 2 ** 32;

export class RequestContexts {
  readonly #contexts: readonly Context[];

  constructor(options: RequestContextsOptions) {
    this.#contexts = Array.from({ length: SLOT_COUNT }, (_, vcpu) => new Context(options, options.buffer.slot(vcpu)));
  }

  get hasFree(): boolean {
    return this.#contexts.some(({ isFree }) => isFree);
  }

  /** Accesses that are not finished. */
  get open(): number {
    return this.#contexts.filter(({ isFree }) => !isFree).length;
  }

  /** Returns false if every context is in use. */
  begin(access: ClientAccess): boolean {
    const context = this.#contexts.find(({ isFree }) => isFree);
    context?.begin(access);
    return context !== undefined;
  }

  /** The request in slot `vcpu` is COMPLETE. */
  finished(vcpu: number): void {
    this.#contexts[vcpu]?.finished();
  }

  /** At a reset or the end of the machine: no access is finished any more. Slots become FREE. */
  withdraw(): void {
    for (const context of this.#contexts) context.withdraw();
  }
}

class Context {
  readonly #options: RequestContextsOptions;
  readonly #slot: Slot;
  readonly #view = new DataView(new ArrayBuffer(8));
  #access: ClientAccess | undefined;
  #at = 0;
  /** Bytes of the request in the slot. */
  #size = 0;
  /** The request in the slot is the write to port 0xCF8. */
  #isAddressing = false;
  #isOpen = false;
  #isAnswered = false;
  /** `#run` is on the stack. */
  #isRunning = false;

  constructor(options: RequestContextsOptions, slot: Slot) {
    this.#options = options;
    this.#slot = slot;
  }

  get isFree(): boolean {
    return this.#access === undefined;
  }

  begin(access: ClientAccess): void {
    this.#access = access;
    this.#at = 0;
    this.#isAddressing = this.#isOpen = this.#isAnswered = false;
    this.#run();
  }

  finished(): void {
    if (!this.#isOpen) return;
    this.#isAnswered = true;
    if (!this.#isRunning) this.#run();
  }

  withdraw(): void {
    this.#isOpen = false;
    this.#end(false);
  }

  /** Makes one request after the other, as long as each is answered at once. */
  #run(): void {
    this.#isRunning = true;
    try {
      while (this.#access !== undefined) {
        if (this.#isOpen && !this.#isAnswered) return;
        if (this.#isOpen) this.#take(this.#access);
        else if (this.#at >= this.#access.bytes.length) this.#end(true);
        else this.#request(this.#access);
      }
    } finally {
      this.#isRunning = false;
    }
  }

  #request(access: ClientAccess): void {
    const { shared, raise, configAddress } = this.#options;
    const { space, start, bytes, isWrite } = access;
    const at = start + this.#at;
    const left = bytes.length - this.#at;
    const view = this.#view;
    let type: number = IoRequestType.PORT;
    let address = at;
    let direction: number = isWrite ? Direction.WRITE : Direction.READ;
    if (space === 'config') {
      // The address register is the VM's, so each access sets it.
      this.#isAddressing = !this.#isAddressing;
      this.#size = this.#isAddressing ? 4 : alignedSize(at, left, 4);
      address = this.#isAddressing ? CONFIG_ADDRESS : CONFIG_DATA + (at & 3);
      if (this.#isAddressing) direction = Direction.WRITE;
    } else {
      if (space === 'memory') type = IoRequestType.MMIO;
      this.#size =
        this.#at === 0 && isAccessSize(left, space) ? left : alignedSize(at, left, space === 'ports' ? 4 : 8);
    }
    view.setBigUint64(0, 0n);
    if (this.#isAddressing && space === 'config')
      view.setUint32(0, (CONFIG_ENABLE | configAddress | (at & 0xfc)) >>> 0, true);
    else if (isWrite) for (let i = 0; i < this.#size; i++) view.setUint8(i, bytes[this.#at + i] as number);
    const { vcpu } = this.#slot;
    shared.count(vcpu, type === IoRequestType.MMIO ? VcpuCounter.mmioAccesses : VcpuCounter.portAccesses);
    const isFilled =
      shared.isRunning &&
      this.#slot.fill(
        type,
        direction,
        address | 0,
        Math.floor(address / WORD),
        this.#size,
        view.getInt32(0, true),
        view.getInt32(4, true),
        false,
      );
    if (!isFilled) {
      shared.count(vcpu, VcpuCounter.failed);
      this.#end(false);
      return;
    }
    shared.count(vcpu, VcpuCounter.requests);
    this.#isOpen = true;
    this.#isAnswered = false;
    raise();
  }

  /** Takes the answer from the slot. */
  #take(access: ClientAccess): void {
    this.#isOpen = this.#isAnswered = false;
    const slot = this.#slot;
    const isReleased = slot.release();
    if (this.#isAddressing && access.space === 'config' && isReleased) return;
    if (!isReleased) {
      this.#end(false);
      return;
    }
    if (!access.isWrite) {
      const view = this.#view;
      view.setInt32(0, slot.valueLow, true);
      view.setInt32(4, slot.valueHigh, true);
      for (let i = 0; i < this.#size; i++) access.bytes[this.#at + i] = view.getUint8(i);
    }
    this.#at += this.#size;
  }

  #end(isDone: boolean): void {
    const access = this.#access;
    this.#access = undefined;
    access?.done(isDone);
  }
}

function isAccessSize(bytes: number, space: ClientAccess['space']): boolean {
  return bytes === 1 || bytes === 2 || bytes === 4 || (bytes === 8 && space === 'memory');
}

/** The largest power of two that divides `address` and is neither above `left` nor above `most`. */
function alignedSize(address: number, left: number, most: number): number {
  let size = most;
  while (size > left || address % size !== 0) size /= 2;
  return size;
}
