/**
 * IrqSignals: the eventfds by which a client takes the interrupts of its card: one for the pin
 * (INTx), and one for each message of MSI and of MSI-X.
 *
 * Called by: ServedFunction, for SET_IRQS and for the card's interrupts. Threads: the Service VM's.
 *
 * The pin is level-triggered, and an eventfd has no level. So the first signal masks the pin, and
 * the client unmasks it when its guest has ended the interrupt. If the pin is still high then, it
 * signals again.
 *
 * Source: linux/vfio.h, VFIO_DEVICE_SET_IRQS.
 */

import { Errno, Irq, IrqSet } from './protocol.js';

export interface IrqSignalsOptions {
  /** The number of interrupts of each index (`Irq`). */
  readonly counts: readonly number[];
  /** Adds 1 to an eventfd. */
  readonly signal: (descriptor: number) => void;
  /** Whether the descriptor is an eventfd. Prepares it, so that `signal` never blocks. */
  readonly accept: (descriptor: number) => boolean;
  readonly close: (descriptor: number) => void;
  /** The client wants the message, or does not want it any more. `index`: Irq.MSI or Irq.MSIX. */
  readonly onWanted: (index: number, vector: number, isWanted: boolean) => void;
  /** The client masks the message, or unmasks it. */
  readonly onMasked: (index: number, vector: number, isMasked: boolean) => void;
  /** The client disables all interrupts of this index. */
  readonly onDisabled: (index: number) => void;
}

export interface IrqCommand {
  readonly flags: number;
  readonly index: number;
  readonly start: number;
  readonly count: number;
  /** Of DATA_BOOL: a byte for each interrupt. */
  readonly bytes: Uint8Array;
  readonly descriptors: readonly number[];
}

export class IrqSignals {
  readonly #options: IrqSignalsOptions;
  /** By index, then by number. −1: the client does not want it. */
  readonly #descriptors: readonly Int32Array[];
  /** What the card drives its pin to. */
  #isHigh = false;
  #isMasked = false;
  #sent = 0;

  constructor(options: IrqSignalsOptions) {
    this.#options = options;
    this.#descriptors = options.counts.map((count) => new Int32Array(count).fill(-1));
  }

  /** Signals so far. */
  get sent(): number {
    return this.#sent;
  }

  /** Returns 0, or an errno. Descriptors that it does not keep stay the caller's: `kept`. */
  set(command: IrqCommand, kept: Set<number>): Errno | 0 {
    const { flags, index, start, count, bytes, descriptors } = command;
    const data = flags & IrqSet.DATA_MASK;
    const action = flags & IrqSet.ACTION_MASK;
    const own = this.#descriptors[index];
    // Sums of u32: no overflow.
    if (own === undefined || start + count > own.length || (start >= own.length && count > 0)) return Errno.INVALID;
    if ((flags & ~(IrqSet.DATA_MASK | IrqSet.ACTION_MASK)) !== 0) return Errno.INVALID;
    if (data === IrqSet.DATA_BOOL && bytes.length < count) return Errno.INVALID;
    const isChosen = (i: number): boolean => data !== IrqSet.DATA_BOOL || bytes[i] !== 0;
    if (data === IrqSet.DATA_EVENTFD)
      return action === IrqSet.TRIGGER ? this.#assign(index, start, count, descriptors, kept) : Errno.NOTSUP;
    if (data !== IrqSet.DATA_NONE && data !== IrqSet.DATA_BOOL) return Errno.INVALID;
    if (action === IrqSet.TRIGGER) {
      if (data === IrqSet.DATA_NONE && count === 0) {
        this.#clear(index);
        if (own.length > 0) this.#options.onDisabled(index);
      }
      for (let i = 0; i < count; i++) if (isChosen(i)) this.#signal(own[start + i] as number);
      return 0;
    }
    if (action !== IrqSet.MASK && action !== IrqSet.UNMASK) return Errno.INVALID;
    for (let i = 0; i < count; i++) if (isChosen(i)) this.#mask(index, start + i, action === IrqSet.MASK);
    return 0;
  }

  /** The card drives its pin. */
  setLevel(isHigh: boolean): void {
    this.#isHigh = isHigh;
    this.#signalPin();
  }

  /** Returns false if the client does not want this message. */
  send(index: number, vector: number): boolean {
    const descriptor = this.#descriptors[index]?.[vector] ?? -1;
    this.#signal(descriptor);
    return descriptor >= 0;
  }

  /** The client is gone. */
  close(): void {
    for (let index = 0; index < Irq.COUNT; index++) this.#clear(index);
    this.#isHigh = this.#isMasked = false;
  }

  /** Without descriptors the client does not want these interrupts any more. */
  #assign(index: number, start: number, count: number, descriptors: readonly number[], kept: Set<number>): Errno | 0 {
    if (descriptors.length !== 0 && descriptors.length !== count) return Errno.INVALID;
    if (!descriptors.every((descriptor) => this.#options.accept(descriptor))) return Errno.INVALID;
    for (let i = 0; i < count; i++) {
      const descriptor = descriptors[i] ?? -1;
      if (descriptor >= 0) kept.add(descriptor);
      this.#store(index, start + i, descriptor);
    }
    return 0;
  }

  #store(index: number, number: number, descriptor: number): void {
    const own = this.#descriptors[index] as Int32Array;
    const old = own[number] as number;
    own[number] = descriptor;
    if (old >= 0) this.#options.close(old);
    if (old < 0 && descriptor < 0) return;
    if (index === Irq.INTX) {
      this.#isMasked = false;
      this.#signalPin();
    } else this.#options.onWanted(index, number, descriptor >= 0);
  }

  #clear(index: number): void {
    const own = this.#descriptors[index];
    own?.forEach((_, number) => this.#store(index, number, -1));
  }

  #mask(index: number, number: number, isMasked: boolean): void {
    if (index !== Irq.INTX) {
      this.#options.onMasked(index, number, isMasked);
      return;
    }
    this.#isMasked = isMasked;
    this.#signalPin();
  }

  #signalPin(): void {
    const descriptor = this.#descriptors[Irq.INTX]?.[0] ?? -1;
    if (!this.#isHigh || this.#isMasked || descriptor < 0) return;
    this.#isMasked = true;
    this.#signal(descriptor);
  }

  #signal(descriptor: number): void {
    if (descriptor < 0) return;
    this.#sent++;
    this.#options.signal(descriptor);
  }
}
