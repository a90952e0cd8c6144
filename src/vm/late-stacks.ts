/**
 * LateStacks: where a device in the Service VM's thread waits while it is late. A promise that does not settle has no
 * stack; but it, or what it waits for, was made somewhere. So while a VM has this, every asynchronous thing that is made
 * on behalf of a request notes where, and a late request shows the last such place in the device.
 *
 * Node tells of these through async_hooks, which makes every promise of the process slower: for looking at a device that
 * hangs, not for every day.
 */

import { AsyncLocalStorage, createHook, type AsyncHook } from 'node:async_hooks';
import type { AssignedRequest } from '../hsm/assigned-request.js';
import type { ClientPosition, IoClient } from '../hsm/io-client.js';
import { SLOT_COUNT } from '../io-request/layout.js';

/** Places that are kept for one request: behind the device's own come a few of upcall's. */
const PLACES = 8;

/** What has been made on behalf of one request, the newest last. */
interface Trail {
  readonly places: { readonly stack?: string }[];
}

export class LateStacks {
  readonly #trails = new AsyncLocalStorage<Trail>();
  readonly #hook: AsyncHook;

  constructor() {
    const init = (): void => {
      const trail = this.#trails.getStore();
      if (trail === undefined) return;
      const place: { stack?: string } = {};
      Error.captureStackTrace(place, init);
      if (trail.places.push(place) > PLACES) trail.places.shift();
    };
    this.#hook = createHook({ init }).enable();
  }

  /** A client in a thread of its own is left as it is: what it makes, it makes there. */
  wrap(client: IoClient): IoClient {
    return client.connect === undefined ? new TrailedClient(client, this.#trails) : client;
  }

  close(): void {
    this.#hook.disable();
  }
}

class TrailedClient implements IoClient {
  readonly #client: IoClient;
  readonly #trails: AsyncLocalStorage<Trail>;
  readonly #bySlot: (Trail | undefined)[] = Array.from({ length: SLOT_COUNT });

  constructor(client: IoClient, trails: AsyncLocalStorage<Trail>) {
    this.#client = client;
    this.#trails = trails;
  }

  get name(): string {
    return this.#client.name;
  }

  notify(request: AssignedRequest): void {
    const trail: Trail = { places: [] };
    this.#bySlot[request.vcpu] = trail;
    this.#trails.run(trail, () => this.#client.notify(request));
  }

  disconnected(): void {
    this.#client.disconnected?.();
  }

  explain(vcpu: number): ClientPosition {
    const stacks = (this.#bySlot[vcpu]?.places ?? []).map(({ stack = '' }) => framesOf(stack));
    const last = stacks.reverse().find(([frame]) => frame !== undefined && !isOwn(frame));
    const known = this.#client.explain?.(vcpu);
    if (last === undefined) return { detail: 'it waits for nothing that was made on behalf of this request', ...known };
    return { ...known, stack: ['It waits since here:', ...last].join('\n') };
  }
}

/** Without Node's own frames. */
function framesOf(stack: string): string[] {
  return stack.split('\n').filter((line) => /^\s*at /.test(line) && !/\(node:|at node:|<anonymous>\)?$/.test(line));
}

/** What stands between the HSM and a device, which also waits for what the device waits for. */
function isOwn(frame: string): boolean {
  return /[/\\](device-client|late-stacks)\.js:/.test(frame);
}
