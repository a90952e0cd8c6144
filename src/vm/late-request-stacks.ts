/**
 * LateRequestStacks: finds the stack that is reported with a late request: the place in the
 * device's code where the device began to wait. (A request is late when its client exceeds the time
 * limit.) A pending promise has no stack, but the call that created it had one. So each
 * asynchronous operation (promise, timer) that is created on behalf of a request records its stack,
 * and a late request shows the last one that is in the device's code.
 *
 * Called by: ClientWrappers, to wrap each client; the HSM, through the wrapped client.
 * Threads: the Service VM's.
 *
 * Recording makes every promise of the process slower, so it is off by default (option
 * `lateStacks`).
 */

import { host } from '../host/current.js';
import type { AsyncOrigin, AsyncStacks } from '../host/host.js';
import type { AssignedRequest } from '../hsm/assigned-request.js';
import type { ClientPosition, IoClient } from '../hsm/io-client.js';
import { authorFrame, foreignLines } from '../io-request/author-frame.js';
import { SLOT_COUNT } from '../io-request/layout.js';

/**
 * Operations that are kept for one request, the newest ones. After the device's own come a few that
 * upcall creates to wait for the device.
 */
const MAX_ORIGINS = 8;

/** The operations that were created for one request, the newest last. */
interface Trail {
  readonly origins: AsyncOrigin[];
}

export class LateRequestStacks {
  readonly #stacks = host.recordAsyncStacks();

  /**
   * The client to use in place of `client`. One with a thread of its own (`connect`) stays as it
   * is: its operations are created in that thread, where nothing is recorded.
   */
  wrap(client: IoClient): IoClient {
    return client.connect === undefined ? new TrailedClient(client, this.#stacks) : client;
  }

  close(): void {
    this.#stacks.close();
  }
}

/** A client that records the trail of each request that it passes on. */
class TrailedClient implements IoClient {
  readonly #client: IoClient;
  readonly #stacks: AsyncStacks;
  readonly #bySlot: (Trail | undefined)[] = Array.from({ length: SLOT_COUNT });

  constructor(client: IoClient, stacks: AsyncStacks) {
    this.#client = client;
    this.#stacks = stacks;
  }

  get name(): string {
    return this.#client.name;
  }

  notify(request: AssignedRequest): void {
    const trail: Trail = { origins: [] };
    this.#bySlot[request.vcpu] = trail;
    const onBegin = (origin: AsyncOrigin): void => {
      if (trail.origins.push(origin) > MAX_ORIGINS) trail.origins.shift();
    };
    this.#stacks.run(onBegin, () => this.#client.notify(request));
  }

  disconnected(): void {
    this.#client.disconnected?.();
  }

  explain(vcpu: number): ClientPosition {
    // The result has the form of an Error's stack: a line of text, then frames.
    const stacks = (this.#bySlot[vcpu]?.origins ?? []).map(({ stack = '' }) => stack);
    const last = stacks.reverse().find((stack) => authorFrame(stack) !== undefined);
    const { detail, ...known } = this.#client.explain?.(vcpu) ?? {};
    if (last !== undefined)
      return { ...known, ...(detail && { detail }), stack: ['Waiting in:', ...foreignLines(last)].join('\n') };
    const details = [detail, 'it waits for nothing that was created for this request'];
    return { ...known, detail: details.filter((text) => text !== undefined).join(', and ') };
  }
}
