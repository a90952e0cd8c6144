/**
 * Slot: one vCPU's 256 bytes of the shared page and the four transitions of its state.
 *
 * Called by: the vCPU's thread calls `fill` and `release`. The HSM calls `assign` and `complete`,
 * the latter also in the thread of a client.
 * Callers must: check the result. A transition from the wrong state is refused and returns false.
 * Other processes may write the page (acrn-programs/), so a wrong state is no mistake of the
 * caller. Threads: any. Each thread creates its own view. No other code writes the state word.
 *
 * Ordering: the side that owns the slot reads and writes its fields by plain accesses, and the
 * state word hands the slot over. A side writes its fields, then changes the state by a
 * compare-and-exchange, which releases them. The other side loads the state atomically, or changes
 * it itself, before it reads a field, which acquires them. A relaxed read of the state is only a
 * hint that this is worth trying. `fill` alone writes fields after a relaxed read of FREE. That is
 * safe: no other thread writes the fields of a FREE slot. The last reader of the old fields
 * completed the request, and this vCPU acquired that before it released the slot.
 *
 * 64-bit fields are two int32 words: V8 does not box those, and this path must not allocate.
 *
 * Steps a, d and f below are those of the kernel document's processing flow (docs/io-request.md).
 */

import { Direction, IoRequestType, SLOT_BYTES, SLOT_OFFSET } from './layout.js';
import type { RequestFields } from './request-fields.js';
import type { SlotObserver } from './slot-observer.js';
import { IoRequestState } from './state.js';

const { PENDING, PROCESSING, COMPLETE, FREE } = IoRequestState;
const TYPE = SLOT_OFFSET.type >> 2;
const POLLING = SLOT_OFFSET.completionPolling >> 2;
const DIRECTION = SLOT_OFFSET.direction >> 2;
const ADDRESS = SLOT_OFFSET.address >> 2;
const SIZE = SLOT_OFFSET.size >> 2;
const VALUE = SLOT_OFFSET.value >> 2;
const PCI_BUS = SLOT_OFFSET.pciBus >> 2;
const PCI_DEVICE = SLOT_OFFSET.pciDevice >> 2;
const PCI_FUNCTION = SLOT_OFFSET.pciFunction >> 2;
const PCI_REGISTER = SLOT_OFFSET.pciRegister >> 2;
const KERNEL_HANDLED = SLOT_OFFSET.kernelHandled >> 2;
const STATE = SLOT_OFFSET.state >> 2;

/** The `enabled` word of a slot without an observer: both cases then take the same check. */
const NOT_OBSERVED: Int32Array = new Int32Array(1);

export class Slot {
  /** The vCPU ID, 0…15, which is the slot's index. */
  readonly vcpu: number;
  #observer: SlotObserver | undefined = undefined;
  #enabled = NOT_OBSERVED;
  readonly #words: Int32Array;
  readonly #base: number;
  readonly #state: number;

  constructor(page: SharedArrayBuffer, vcpu: number) {
    this.vcpu = vcpu;
    this.#words = new Int32Array(page);
    this.#base = (vcpu * SLOT_BYTES) >> 2;
    this.#state = this.#base + STATE;
  }

  /** Set by the thread that created this view. It observes the transitions through this view. */
  set observer(observer: SlotObserver | undefined) {
    this.#observer = observer;
    this.#enabled = observer?.enabled ?? NOT_OBSERVED;
  }

  /** The current state word. On a hostile page it may hold any number. */
  get state(): number {
    return Atomics.load(this.#words, this.#state);
  }

  /** Relaxed read for polling. Re-check with `state` before acting on it. */
  get relaxedState(): number {
    return this.#words[this.#state] as number;
  }

  /**
   * Step a, FREE → PENDING: the hypervisor's I/O handler publishes a request. `polling` false
   * leaves the word as it is, as in ACRN, which never clears it. Returns false if the slot was not
   * FREE. Then it is unchanged.
   */
  fill(
    type: number,
    direction: number,
    addressLow: number,
    addressHigh: number,
    size: number,
    valueLow: number,
    valueHigh: number,
    polling: boolean,
  ): boolean {
    const words = this.#words;
    const base = this.#base;
    // A relaxed read is enough: no other thread moves a FREE slot, and the move below is the
    // authoritative check.
    if (words[this.#state] !== FREE) return false;
    storeIfChanged(words, base + TYPE, type);
    if (polling) storeIfChanged(words, base + POLLING, 1);
    storeIfChanged(words, base + DIRECTION, direction);
    storeIfChanged(words, base + ADDRESS, addressLow);
    storeIfChanged(words, base + ADDRESS + 1, addressHigh);
    storeIfChanged(words, base + SIZE, size);
    storeIfChanged(words, base + SIZE + 1, 0);
    storeIfChanged(words, base + VALUE, valueLow);
    storeIfChanged(words, base + VALUE + 1, valueHigh);
    if (this.#enabled[0] === 0) return this.#move(FREE, PENDING);
    const observer = this.#observer as SlotObserver;
    observer.filling();
    const hasMoved = this.#move(FREE, PENDING);
    observer.filled(hasMoved, type, direction, addressLow, addressHigh, size, valueLow, valueHigh, words, base);
    return hasMoved;
  }

  /**
   * Step d, PENDING → PROCESSING: the HSM gives the request to a client. `kernelHandled` is false
   * for the default client. Returns false if the slot was not PENDING.
   */
  assign(kernelHandled: boolean): boolean {
    storeIfChanged(this.#words, this.#base + KERNEL_HANDLED, kernelHandled ? 1 : 0);
    const hasMoved = this.#move(PENDING, PROCESSING);
    if (this.#enabled[0] !== 0) this.#observer?.assigned(hasMoved, this.#words, this.#base);
    return hasMoved;
  }

  /**
   * Step f, PROCESSING → COMPLETE: the answer is in the slot. `from` is PENDING for a request that
   * no client gets: the HSM answers it (0xCF8), or its VM is being cleared. Returns false if the
   * slot was in another state.
   */
  complete(from: typeof PROCESSING | typeof PENDING = PROCESSING): boolean {
    if (this.#enabled[0] === 0) return this.#move(from, COMPLETE);
    const observer = this.#observer as SlotObserver;
    // Read before the move: once the slot is COMPLETE, it may hold its next request.
    const low = this.valueLow;
    const high = this.valueHigh;
    observer.completing(from, low, high);
    const hasMoved = this.#move(from, COMPLETE);
    observer.completed(hasMoved, from, low, high);
    return hasMoved;
  }

  /** COMPLETE → FREE: the hypervisor takes the result. Returns false if it was not COMPLETE. */
  release(): boolean {
    const hasMoved = this.#move(COMPLETE, FREE);
    if (this.#enabled[0] !== 0) this.#observer?.released(hasMoved, COMPLETE);
    return hasMoved;
  }

  /**
   * Any state → FREE: the hypervisor stamps the slot when a page is set or a VM is reset. The
   * caller makes sure that no client can still complete the request (VmRequests.withdraw).
   */
  stampFree(): void {
    const from = this.relaxedState;
    Atomics.store(this.#words, this.#state, FREE);
    // Stamping a FREE slot is not a transition.
    if (this.#enabled[0] !== 0 && from !== FREE) this.#observer?.released(true, from);
  }

  /**
   * At a reset, unlike ACRN. The next `fill` of a vCPU that polls sets the word again. A word that
   * another writer of the page set would otherwise suppress the completion hypercall forever.
   */
  clearPolling(): void {
    this.#words[this.#base + POLLING] = 0;
  }

  #move(from: number, to: number): boolean {
    return Atomics.compareExchange(this.#words, this.#state, from, to) === from;
  }

  get type(): number {
    return this.#words[this.#base + TYPE] as number;
  }

  /** Whether the hypervisor polls for COMPLETE. Then the HSM makes no completion hypercall. */
  get completionPolling(): boolean {
    return this.#words[this.#base + POLLING] !== 0;
  }

  get direction(): number {
    return this.#words[this.#base + DIRECTION] as number;
  }

  get isRead(): boolean {
    return this.direction === Direction.READ;
  }

  get addressLow(): number {
    return this.#words[this.#base + ADDRESS] as number;
  }

  get addressHigh(): number {
    return this.#words[this.#base + ADDRESS + 1] as number;
  }

  get sizeLow(): number {
    return this.#words[this.#base + SIZE] as number;
  }

  get sizeHigh(): number {
    return this.#words[this.#base + SIZE + 1] as number;
  }

  get valueLow(): number {
    return this.#words[this.#base + VALUE] as number;
  }

  get valueHigh(): number {
    return this.#words[this.#base + VALUE + 1] as number;
  }

  get kernelHandled(): number {
    return this.#words[this.#base + KERNEL_HANDLED] as number;
  }

  get pciBus(): number {
    return this.#words[this.#base + PCI_BUS] as number;
  }

  get pciDevice(): number {
    return this.#words[this.#base + PCI_DEVICE] as number;
  }

  get pciFunction(): number {
    return this.#words[this.#base + PCI_FUNCTION] as number;
  }

  get pciRegister(): number {
    return this.#words[this.#base + PCI_REGISTER] as number;
  }

  /** Reads each word once, so a later write to the page cannot change the copy. */
  copyTo(copy: RequestFields): void {
    const words = this.#words;
    const base = this.#base;
    const type = (copy.type = words[base + TYPE] as number);
    copy.direction = words[base + DIRECTION] as number;
    copy.addressLow = words[base + ADDRESS] as number;
    copy.addressHigh = words[base + ADDRESS + 1] as number;
    copy.size = words[base + SIZE] as number;
    copy.sizeHigh = words[base + SIZE + 1] as number;
    copy.valueLow = words[base + VALUE] as number;
    copy.valueHigh = words[base + VALUE + 1] as number;
    if (type !== IoRequestType.PCI) return;
    copy.bus = words[base + PCI_BUS] as number;
    copy.device = words[base + PCI_DEVICE] as number;
    copy.pciFunction = words[base + PCI_FUNCTION] as number;
    copy.register = words[base + PCI_REGISTER] as number;
  }

  /** Stores the answer to a read: 64 bits for MMIO, else 32. For a write the value is unchanged. */
  setAnswer(type: number, direction: number, low: number, high: number): void {
    if (direction !== Direction.READ) return;
    if (type === IoRequestType.MMIO) this.setValue64(low, high);
    else this.setValue(low);
  }

  /** A 32-bit result, for ports and PCI. Must not touch the next word: `bus` in the PCI view. */
  setValue(value: number): void {
    storeIfChanged(this.#words, this.#base + VALUE, value);
  }

  /** A 64-bit result, for MMIO. */
  setValue64(low: number, high: number): void {
    storeIfChanged(this.#words, this.#base + VALUE, low);
    storeIfChanged(this.#words, this.#base + VALUE + 1, high);
  }

  /**
   * Turns the request into a PCI configuration access, in place. Direction, size and value have the
   * same offsets in both views.
   */
  rewriteAsPci(type: number, bus: number, device: number, pciFunction: number, register: number): void {
    const words = this.#words;
    const base = this.#base;
    words[base + TYPE] = type;
    words[base + PCI_BUS] = bus;
    words[base + PCI_DEVICE] = device;
    words[base + PCI_FUNCTION] = pciFunction;
    words[base + PCI_REGISTER] = register;
  }
}

/**
 * Stores only if the value changes. A redundant store still invalidates the other core's cache
 * line, and fetching it back costs as much as ten of these checks. Guests often access the same
 * register many times in a row.
 */
function storeIfChanged(words: Int32Array, index: number, value: number): void {
  const word = value | 0;
  if (words[index] !== word) words[index] = word;
}
