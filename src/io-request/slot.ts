/**
 * Slot: one vCPU's 256 bytes of the shared page and the four moves of its state.
 *
 * A request changes sides only here. The vCPU's thread calls `fill` and `release`, the HSM calls `assign` and
 * `complete`; each is one compare-and-exchange on the state word, made after the bytes were written and before the
 * other side may read them. A move from the wrong state is refused and returns false: on a page that others can write,
 * a wrong state is the other side's doing, and never a reason to go on. Nothing else in the code base writes the word.
 *
 * Ordering: every field but the state is read and written plainly by the side that owns the slot, and the
 * state is what hands it over. A side writes its fields, then moves the state by a compare-and-exchange,
 * which releases them. The other side loads the state atomically, or moves it itself, before it reads a
 * field, which acquires them. A relaxed read of the state only says whether that is worth trying. `fill`
 * alone writes fields after a relaxed read of FREE. Nobody else writes a FREE slot's fields, and the last
 * reader of the old ones completed the request, which this vCPU has acquired before it released the slot.
 *
 * 64-bit fields are two int32 words: V8 handles those without boxing, and this path must not allocate.
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

/** So that a slot without a watcher asks the same question as one with a watcher. */
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

  /** Set by whoever made this view of the slot, for the moves that are made through it. */
  set observer(watcher: SlotObserver | undefined) {
    this.#observer = watcher;
    this.#enabled = watcher?.enabled ?? NOT_OBSERVED;
  }

  /** The state word as it is now; on a hostile page it may be no state at all. */
  get state(): number {
    return Atomics.load(this.#words, this.#state);
  }

  /** A look without ordering, for loops that confirm with `state` before they act. */
  get relaxedState(): number {
    return this.#words[this.#state] as number;
  }

  /**
   * Step a, FREE → PENDING: the hypervisor's I/O handler publishes a request.
   * `polling` is only ever set, never cleared, as in ACRN. False: the slot was not FREE and was not touched.
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
    // Nobody else moves a FREE slot, and the move below is the one that counts: a look without ordering is enough here.
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
    const watcher = this.#observer as SlotObserver;
    watcher.filling();
    const isMade = this.#move(FREE, PENDING);
    watcher.filled(isMade, type, direction, addressLow, addressHigh, size, valueLow, valueHigh, words, base);
    return isMade;
  }

  /** Step d, PENDING → PROCESSING: the HSM gives the request to a client. */
  assign(kernelHandled: boolean): boolean {
    storeIfChanged(this.#words, this.#base + KERNEL_HANDLED, kernelHandled ? 1 : 0);
    const isMade = this.#move(PENDING, PROCESSING);
    if (this.#enabled[0] !== 0) this.#observer?.assigned(isMade, this.#words, this.#base);
    return isMade;
  }

  /**
   * Step f, PROCESSING → COMPLETE: the answer is in the slot. `from` is PENDING for a request that no client is given:
   * the HSM answers it (0xCF8), or its VM is being cleared.
   */
  complete(from: typeof PROCESSING | typeof PENDING = PROCESSING): boolean {
    if (this.#enabled[0] === 0) return this.#move(from, COMPLETE);
    const observer = this.#observer as SlotObserver;
    // Read before the move: once the slot is COMPLETE, it may hold its next request.
    const low = this.valueLow;
    const high = this.valueHigh;
    observer.completing(from, low, high);
    const isMade = this.#move(from, COMPLETE);
    observer.completed(isMade, from, low, high);
    return isMade;
  }

  /** COMPLETE → FREE: the hypervisor has taken the result. */
  release(): boolean {
    const isMade = this.#move(COMPLETE, FREE);
    if (this.#enabled[0] !== 0) this.#observer?.released(isMade, COMPLETE);
    return isMade;
  }

  /** Any state → FREE: the hypervisor stamps the slot when a page is set and when a VM is reset. */
  stampFree(): void {
    const from = this.relaxedState;
    Atomics.store(this.#words, this.#state, FREE);
    // A slot that is stamped where it is FREE does not move.
    if (this.#enabled[0] !== 0 && from !== FREE) this.#observer?.released(true, from);
  }

  /**
   * At a reset: if the VM polls, its next `fill` says so again. Whoever else set the word on a page that others can write
   * would keep the completion hypercall from the vCPU for ever.
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

  /** Whether the hypervisor polls for COMPLETE, so that no hypercall is to be made. */
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

  /** One read of each word: what others write to the page afterwards changes nothing in the copy. */
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

  /** The answer to a request: a read has one, 64 bits wide for MMIO. A write leaves the value in the page as it is. */
  setAnswer(type: number, direction: number, low: number, high: number): void {
    if (direction !== Direction.READ) return;
    if (type === IoRequestType.MMIO) this.setValue64(low, high);
    else this.setValue(low);
  }

  /** A 32-bit result, for ports and PCI. It must not touch the next word, which is `bus` in the PCI view. */
  setValue(value: number): void {
    storeIfChanged(this.#words, this.#base + VALUE, value);
  }

  /** A 64-bit result, for MMIO. */
  setValue64(low: number, high: number): void {
    storeIfChanged(this.#words, this.#base + VALUE, low);
    storeIfChanged(this.#words, this.#base + VALUE + 1, high);
  }

  /** Makes the request a PCI configuration access in place: direction, size and value already lie where that view has them. */
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
 * Writes a word that is another one than before. A store takes the cache line away from the other side's core even where
 * it changes nothing, and getting it back costs as much as ten of these looks: guests ask the same register again and again.
 */
function storeIfChanged(words: Int32Array, index: number, value: number): void {
  const word = value | 0;
  if (words[index] !== word) words[index] = word;
}
