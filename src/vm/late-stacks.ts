/**
 * LateStacks: reports where a device in the Service VM's thread waits while it is late. A pending
 * promise has no stack, but the call that created it had one. While a VM has this tool, each
 * asynchronous operation that is created for a request records its stack. A late request shows the
 * last one in the device.
 *
 * Recording makes every promise of the process slower, so it is off by default.
 */

import { host } from '../host/current.js';
import type { AsyncOrigin, AsyncStacks } from '../host/host.js';
import type { AssignedRequest } from '../hsm/assigned-request.js';
import type { ClientPosition, IoClient } from '../hsm/io-client.js';
import { SLOT_COUNT } from '../io-request/layout.js';

/** Places that are kept for one request: behind the device's own come a few of upcall's. */
const PLACES = 8;

/** The stacks of what was created for one request, the newest last. */
interface Trail {
  readonly places: AsyncOrigin[];
}

export class LateStacks {
  readonly #stacks = host.recordAsyncStacks();

  /** A client in a thread of its own is left as it is: what it makes, it makes there. */
  wrap(client: IoClient): IoClient {
    return client.connect === undefined ? new TrailedClient(client, this.#stacks) : client;
  }

  close(): void {
    this.#stacks.close();
  }
}

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
    const trail: Trail = { places: [] };
    this.#bySlot[request.vcpu] = trail;
    const onBegin = (origin: AsyncOrigin): void => {
      if (trail.places.push(origin) > PLACES) trail.places.shift();
    };
    this.#stacks.run(onBegin, () => this.#client.notify(request));
  }

  disconnected(): void {
    this.#client.disconnected?.();
  }

  explain(vcpu: number): ClientPosition {
    const stacks = (this.#bySlot[vcpu]?.places ?? []).map(({ stack = '' }) => framesOf(stack));
    const last = stacks.reverse().find(([frame]) => frame !== undefined && !isOwn(frame));
    const known = this.#client.explain?.(vcpu);
    if (last === undefined) return { detail: 'it waits for nothing that was created for this request', ...known };
    return { ...known, stack: ['It waits since here:', ...last].join('\n') };
  }
}

/** Without Node's own frames. */
function framesOf(stack: string): string[] {
  return stack.split('\n').filter((line) => /^\s*at /.test(line) && !/\(node:|at node:|<anonymous>\)?$/.test(line));
}

/** What stands between the HSM and a device, which also waits for what the device waits for. */
function isOwn(frame: string): boolean {
  return /[/\\](device-client|late-stacks|async-stacks)\.js:/.test(frame);
}
