/**
 * UserspaceClient: the default client of the control interface ("acrndm"). It answers nothing
 * itself: ACRN userspace waits in ATTACH, scans the page, writes its results there and finishes
 * each request with NOTIFY.
 *
 * While its answers are relayed (a breakpoint before COMPLETE, a fault plan), NOTIFY takes the
 * answer from the page and finishes the client's request with it, where it can be held or altered.
 * The slot may stay PROCESSING then. A userspace that scans it once more and answers again does no
 * harm: the first answer counts.
 */

import type { AssignedRequest } from '../hsm/assigned-request.js';
import { Errno } from '../io-request/errno.js';
import type { IoClient } from '../hsm/io-client.js';
import type { ClientFinisher } from '../hsm/request-finisher.js';
import { SLOT_COUNT } from '../io-request/layout.js';
import type { SharedBuffer } from '../io-request/shared-buffer.js';
import { AttachWords } from './attach-words.js';

/** Calls of ATTACH that may wait at a time. */
export const MAX_WAITERS = 64;

/**
 * What ATTACH uses of an `AbortSignal`. A structural type, so that the package's types need neither
 * the DOM's nor Node's.
 */
export interface InterruptSignal {
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: () => void): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** For `UserspaceThread`; it survives structured cloning. */
export interface UserspaceHandle {
  readonly words: SharedArrayBuffer;
  readonly finisher: ClientFinisher;
  readonly vcpuCount: number;
}

export interface UserspaceClientOptions {
  readonly vcpuCount: number;
  readonly buffer: SharedBuffer;
  /** Slots assigned to this client and not finished: bit n for slot n. */
  readonly assignedSlots: () => number;
}

export class UserspaceClient implements IoClient {
  readonly name = 'acrndm';
  readonly #options: UserspaceClientOptions;
  readonly #words = new AttachWords();
  readonly #waiters = new Set<(result: number) => void>();
  readonly #requests: (AssignedRequest | undefined)[] = Array.from({ length: SLOT_COUNT });
  readonly #tickets = new Int32Array(SLOT_COUNT);
  /**
   * Slots whose request the client has been given and has not answered by `finish`: bit n for slot
   * n.
   */
  #given = 0;
  #finisher: ClientFinisher | undefined;
  #isRelaying = false;
  #isDestroyed = false;

  constructor(options: UserspaceClientOptions) {
    this.#options = options;
  }

  /**
   * For a thread that attaches by itself. Undefined while answers are relayed: that thread would
   * finish on its own.
   */
  get handle(): UserspaceHandle | undefined {
    if (this.#finisher === undefined || this.#isRelaying) return undefined;
    return { words: this.#words.buffer, finisher: this.#finisher, vcpuCount: this.#options.vcpuCount };
  }

  /**
   * Whether NOTIFY for slot `vcpu` has to go through `finish`: also when that was done once, and
   * the answer is held.
   */
  finishesItself(vcpu: number): boolean {
    return this.#isRelaying || (this.#given & (1 << vcpu)) === 0;
  }

  /**
   * 0 as long as a request is pending (at once if one is), −ENODEV when the client is destroyed. An
   * abort ends the wait with 0, as a signal does in the driver: the caller scans, finds nothing,
   * and comes back.
   */
  attach(signal?: InterruptSignal): number | Promise<number> {
    if (this.#isDestroyed) return Errno.ENODEV;
    if (this.#hasPending() || signal?.aborted === true) return 0;
    if (this.#waiters.size >= MAX_WAITERS) return Errno.ENOMEM;
    return new Promise((resolve) => {
      const abort = (): void => done(0);
      const done = (result: number): void => {
        this.#waiters.delete(done);
        signal?.removeEventListener('abort', abort);
        resolve(result);
      };
      this.#waiters.add(done);
      signal?.addEventListener('abort', abort);
    });
  }

  /**
   * Answers the request of slot `vcpu` with the value in the page. Returns 0, or −EINVAL for a vCPU
   * that does not exist.
   */
  finish(vcpu: number): number {
    const { vcpuCount, buffer } = this.#options;
    if (vcpu >= vcpuCount) return Errno.EINVAL;
    const bit = 1 << vcpu;
    if ((this.#given & bit) === 0) return 0;
    this.#given &= ~bit;
    const { valueLow, valueHigh } = buffer.slot(vcpu);
    this.#requests[vcpu]?.finish(this.#tickets[vcpu] ?? 0, valueLow, valueHigh);
    return 0;
  }

  notify(request: AssignedRequest): void {
    const { vcpu, ticket } = request;
    this.#requests[vcpu] = request;
    this.#tickets[vcpu] = ticket;
    this.#given |= 1 << vcpu;
    this.#words.give(vcpu, ticket);
    this.#wake(0);
  }

  connect(finisher: ClientFinisher): void {
    this.#finisher = finisher;
  }

  relay(on: boolean): void {
    this.#isRelaying = on;
  }

  disconnected(): void {
    this.#isDestroyed = true;
    this.#words.destroy();
    this.#wake(Errno.ENODEV);
  }

  #hasPending(): boolean {
    return (this.#options.assignedSlots() & this.#given) !== 0;
  }

  #wake(result: number): void {
    for (const done of [...this.#waiters]) done(result);
  }
}
