/**
 * UserspaceClient: the client that the ioctl CREATE_IOREQ_CLIENT creates, "acrndm". It is the VM's
 * default client. It answers nothing itself: ACRN userspace waits in ATTACH_IOREQ_CLIENT, scans the
 * page, writes its results there and finishes each request with NOTIFY_REQUEST_FINISH. (This file
 * calls them ATTACH and NOTIFY.)
 *
 * Called by: HsmFile and IoctlVm for the ioctls; the HSM with requests, `relay` and the removal.
 * Threads: the Service VM's. A userspace thread that blocks uses UserspaceThread instead.
 *
 * A NOTIFY finishes the request of its slot in one of two ways, and `takesAnswer` says which:
 *
 * - In the page: VmRequests.finishDefault completes the slot, whose value is userspace's answer.
 * - Relayed: `finish` takes the answer from the page and passes it to `AssignedRequest.finish`,
 *   where a breakpoint before COMPLETE or a fault plan can hold or alter it (IoClient.relay). The
 *   slot may stay PROCESSING meanwhile. A userspace that scans it again and answers again does no
 *   harm: the first answer counts.
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
  // By slot: the last request, and the number of its assignment, which its answer must name.
  readonly #requests: (AssignedRequest | undefined)[] = Array.from({ length: SLOT_COUNT });
  readonly #tickets = new Int32Array(SLOT_COUNT);
  /**
   * Bit n: `finish` has not taken the answer to slot n's last request. A request that was finished
   * in the page keeps its bit, so a request is open only if `assignedSlots` has the bit as well.
   */
  #notTaken = 0;
  #finisher: ClientFinisher | undefined;
  #isRelaying = false;
  #isDestroyed = false;

  constructor(options: UserspaceClientOptions) {
    this.#options = options;
  }

  /**
   * For a thread that attaches by itself. Undefined while answers are relayed, because that thread
   * finishes requests in the page. A thread that got the handle before goes on to do so: its
   * answers are neither held nor altered.
   */
  get handle(): UserspaceHandle | undefined {
    if (this.#finisher === undefined || this.#isRelaying) return undefined;
    return { words: this.#words.buffer, finisher: this.#finisher, vcpuCount: this.#options.vcpuCount };
  }

  /**
   * Whether NOTIFY for slot `vcpu` has to call `finish`, instead of finishing the request in the
   * page. Also true if `finish` has taken the answer, which may still be held when the relaying is
   * over: a second NOTIFY must not finish the request.
   */
  takesAnswer(vcpu: number): boolean {
    return this.#isRelaying || (this.#notTaken & (1 << vcpu)) === 0;
  }

  /**
   * ATTACH_IOREQ_CLIENT: 0 when a request is pending (at once if one is), −ENODEV when the client
   * is destroyed, −ENOMEM if MAX_WAITERS calls wait already. An abort ends the wait with 0, as a
   * signal does in the driver: the caller scans, finds nothing, and calls again.
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
   * NOTIFY_REQUEST_FINISH while `takesAnswer`: answers the request of slot `vcpu` with the value
   * in the page. Returns 0, or −EINVAL for a vCPU that does not exist.
   */
  finish(vcpu: number): number {
    const { vcpuCount, buffer } = this.#options;
    if (vcpu >= vcpuCount) return Errno.EINVAL;
    const bit = 1 << vcpu;
    if ((this.#notTaken & bit) === 0) return 0;
    this.#notTaken &= ~bit;
    const { valueLow, valueHigh } = buffer.slot(vcpu);
    this.#requests[vcpu]?.finish(this.#tickets[vcpu] ?? 0, valueLow, valueHigh);
    return 0;
  }

  notify(request: AssignedRequest): void {
    const { vcpu, ticket } = request;
    this.#requests[vcpu] = request;
    this.#tickets[vcpu] = ticket;
    this.#notTaken |= 1 << vcpu;
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

  /** Whether a request waits for userspace's answer. */
  #hasPending(): boolean {
    return (this.#options.assignedSlots() & this.#notTaken) !== 0;
  }

  #wake(result: number): void {
    for (const done of [...this.#waiters]) done(result);
  }
}
