/**
 * RequestTrace: the requests of a VM as they are given to their clients, for whoever wants to watch. While nobody does,
 * it costs one look at a number.
 *
 * Each watcher has a bounded queue. A watcher that is slower than the guest loses the oldest events and is told how many.
 */

import { describe, type IoRequest } from '../io-request/io-request.js';

/** Events that wait for one watcher. */
export const TRACE_QUEUE_EVENTS = 4096;

export interface RequestEvent {
  /** Of the Service VM's clock, `performance.now()`. */
  readonly timeMs: number;
  readonly vcpu: number;
  /** Who was given the request; `hsm` answers some itself. */
  readonly client: string;
  /** As it was dispatched: the value of a read is whatever its slot held. */
  readonly request: IoRequest;
  /** Events before this one that this watcher was too slow for. */
  readonly lost: number;
}

/** `12.345 ms vCPU 0 → uart16550: write port 0x3f8/1 = 0x41` */
export function describeRequestEvent(event: RequestEvent): string {
  const lost = event.lost === 0 ? '' : ` (${event.lost} lost before)`;
  return `${event.timeMs.toFixed(3)} ms vCPU ${event.vcpu} → ${event.client}: ${describe(event.request)}${lost}`;
}

interface Watcher {
  readonly queue: Omit<RequestEvent, 'lost'>[];
  /** Since the last event that was taken. */
  lost: number;
  wake: (() => void) | undefined;
}

export class RequestTrace {
  readonly #watchers = new Set<Watcher>();
  #isClosed = false;

  get isWatched(): boolean {
    return this.#watchers.size > 0;
  }

  record(vcpu: number, client: string, request: IoRequest): void {
    const timeMs = performance.now();
    for (const watcher of this.#watchers) {
      if (watcher.queue.length >= TRACE_QUEUE_EVENTS) {
        watcher.queue.shift();
        watcher.lost++;
      }
      watcher.queue.push({ timeMs, vcpu, client, request });
      watcher.wake?.();
    }
  }

  /** From now until the VM ends or the loop is left. */
  watch(): AsyncGenerator<RequestEvent, void, undefined> {
    const watcher: Watcher = { queue: [], lost: 0, wake: undefined };
    this.#watchers.add(watcher);
    return this.#events(watcher);
  }

  async *#events(watcher: Watcher): AsyncGenerator<RequestEvent, void, undefined> {
    try {
      for (;;) {
        const event = watcher.queue.shift();
        if (event !== undefined) {
          const { lost } = watcher;
          watcher.lost = 0;
          yield { ...event, lost };
        } else if (this.#isClosed) return;
        else await new Promise<void>((resolve) => (watcher.wake = resolve));
      }
    } finally {
      this.#watchers.delete(watcher);
    }
  }

  /** No more events: watchers get what is queued, then their loops end. */
  close(): void {
    this.#isClosed = true;
    for (const watcher of this.#watchers) watcher.wake?.();
  }
}
