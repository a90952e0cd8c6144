/**
 * UserspaceClient: the default client of the control interface ("acrndm"). It answers nothing itself: ACRN userspace
 * waits in ATTACH, scans the page, writes its results there and finishes each request with NOTIFY.
 */

import type { AssignedRequest } from '../hsm/assigned-request.js';
import type { IoClient } from '../hsm/io-client.js';
import type { ClientFinisher } from '../hsm/request-finisher.js';
import { AttachWords } from './attach-words.js';
import { Errno } from '../hsm/errno.js';

/** Calls of ATTACH that may wait at a time. */
export const MAX_WAITERS = 64;

/** For `UserspaceThread`; it survives structured cloning. */
export interface UserspaceHandle {
  readonly words: SharedArrayBuffer;
  readonly finisher: ClientFinisher;
  readonly vcpuCount: number;
}

export class UserspaceClient implements IoClient {
  readonly name = 'acrndm';
  readonly #hasPending: (client: IoClient) => boolean;
  readonly #vcpuCount: number;
  readonly #words = new AttachWords();
  readonly #waiters = new Set<(result: number) => void>();
  #finisher: ClientFinisher | undefined;
  #isDestroyed = false;

  constructor(vcpuCount: number, hasPending: (client: IoClient) => boolean) {
    this.#vcpuCount = vcpuCount;
    this.#hasPending = hasPending;
  }

  /** For a thread that attaches by itself. */
  get handle(): UserspaceHandle | undefined {
    if (this.#finisher === undefined) return undefined;
    return { words: this.#words.buffer, finisher: this.#finisher, vcpuCount: this.#vcpuCount };
  }

  /**
   * 0 as long as a request is pending (at once if one is), −ENODEV when the client is destroyed. An abort ends the wait
   * with 0, as a signal does in the driver: the caller scans, finds nothing, and comes back.
   */
  attach(signal?: AbortSignal): number | Promise<number> {
    if (this.#isDestroyed) return Errno.ENODEV;
    if (this.#hasPending(this) || signal?.aborted === true) return 0;
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

  notify(request: AssignedRequest): void {
    this.#words.give(request.vcpu, request.ticket);
    this.#wake(0);
  }

  connect(finisher: ClientFinisher): void {
    this.#finisher = finisher;
  }

  disconnected(): void {
    this.#isDestroyed = true;
    this.#words.destroy();
    this.#wake(Errno.ENODEV);
  }

  #wake(result: number): void {
    for (const done of [...this.#waiters]) done(result);
  }
}
