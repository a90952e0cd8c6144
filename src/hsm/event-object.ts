/**
 * EventObject: an event between ACRN userspace and the HSM, like a Linux eventfd: a 64-bit counter
 * that a signal increments and a read resets. LocalEvent is one inside this process.
 * acrn-hsm/linux-events.ts has one over a real eventfd.
 *
 * Called by: acrn-vm-events.ts, async-io.ts and ioeventfd.ts, which signal; irqfd.ts, which
 * listens; vm/card-doorbells.ts.
 */

/** An eventfd's counter saturates here. */
const MAX_COUNT = 0xffff_ffff_ffff_fffen;
/** Maximum number of listeners of each kind for one LocalEvent. */
export const MAX_LISTENERS = 1024;

export interface EventObject {
  /** The eventfd behind it, a descriptor of this process. Left out by other events. */
  readonly fd?: number;
  /** Adds 1. */
  signal(): void;
  /** Whether the counter is not 0. */
  readonly isReadable: boolean;
  /** Returns the counter and resets it to 0. Does not wait: 0 if the event is not readable. */
  read(): bigint;
  /**
   * Calls back after signals, until the returned function is called or the event is closed. An
   * implementation may call back once for several, and may reset the counter by then.
   */
  onSignal(listener: () => void): () => void;
  /**
   * Calls back once, when its owner closes the event, unless the returned function is called
   * before.
   */
  onClose(listener: () => void): () => void;
}

/** `onSignal` and `onClose` throw RangeError at MAX_LISTENERS. */
export class LocalEvent implements EventObject {
  #count = 0n;
  readonly #signalled = new Set<() => void>();
  readonly #closed = new Set<() => void>();

  get isReadable(): boolean {
    return this.#count !== 0n;
  }

  signal(): void {
    if (this.#count < MAX_COUNT) this.#count++;
    // A listener may remove another one.
    for (const listener of [...this.#signalled]) if (this.#signalled.has(listener)) listener();
  }

  read(): bigint {
    const count = this.#count;
    this.#count = 0n;
    return count;
  }

  onSignal(listener: () => void): () => void {
    return subscribe(this.#signalled, listener);
  }

  onClose(listener: () => void): () => void {
    return subscribe(this.#closed, listener);
  }

  close(): void {
    const listeners = [...this.#closed];
    this.#closed.clear();
    this.#signalled.clear();
    for (const listener of listeners) listener();
  }
}

/** Returns the function that removes the listener. */
function subscribe(listeners: Set<() => void>, listener: () => void): () => void {
  if (listeners.size >= MAX_LISTENERS) throw new RangeError(`an event has at most ${MAX_LISTENERS} listeners`);
  // A new function for each call, so that the same listener may be added twice.
  const entry = (): void => listener();
  listeners.add(entry);
  return () => listeners.delete(entry);
}
