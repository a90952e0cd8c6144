/**
 * ClientWrappers: the I/O clients of one User VM as the HSM gets them. What has to stand between the HSM and a client
 * (faults, stacks for late requests) wraps it when it is made; the operator goes on to name his own. A VM that asks for
 * nothing of the kind has no wrappers, and its clients are the clients themselves.
 */

import type { IoClient } from '../hsm/io-client.js';
import type { FaultInjection } from '../fault-injection/fault-injection.js';
import type { LateStacks } from './late-stacks.js';

export type WrapClient = (client: IoClient, isDefault: boolean) => IoClient;

export class ClientWrappers {
  readonly #wraps: readonly WrapClient[];
  readonly #wrapped = new WeakMap<IoClient, IoClient>();
  readonly #originals = new WeakMap<IoClient, IoClient>();

  /** The first stands nearest to the client. */
  constructor(wraps: readonly WrapClient[]) {
    this.#wraps = wraps;
  }

  /** The client as the HSM knows it; always the same for the same client. A wrapper may name what it stands around. */
  of(client: IoClient, isDefault = false): IoClient {
    if (this.#wraps.length === 0) return client;
    const original = this.original(client);
    const known = this.#wrapped.get(original);
    if (known !== undefined) return known;
    let wrapped = original;
    for (const wrap of this.#wraps) {
      wrapped = wrap(wrapped, isDefault);
      if (wrapped !== original) this.#originals.set(wrapped, original);
    }
    this.#wrapped.set(original, wrapped);
    return wrapped;
  }

  /** The client that the operator made. */
  original(client: IoClient): IoClient {
    return this.#originals.get(client) ?? client;
  }
}

/** The wrappers of a VM with these tools. */
export function wrappersFor(lateStacks: LateStacks | undefined, faults: FaultInjection | undefined): ClientWrappers {
  const wraps: WrapClient[] = [];
  if (lateStacks !== undefined) wraps.push((client) => lateStacks.wrap(client));
  if (faults !== undefined) wraps.push((client, isDefault) => faults.wrap(client, isDefault));
  return new ClientWrappers(wraps);
}
