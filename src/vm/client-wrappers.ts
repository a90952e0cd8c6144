/**
 * ClientWrappers: the I/O clients of one User VM as the HSM sees them. A tool that stands between
 * the HSM and a client (faults, stacks for late requests) wraps it once. The operator goes on to
 * name the original. A VM without such tools has no wrappers, and its clients are the originals.
 */

import type { IoClient } from '../hsm/io-client.js';
import type { FaultInjection } from '../fault-injection/fault-injection.js';
import type { LateStacks } from './late-stacks.js';

export type WrapClient = (client: IoClient, isDefault: boolean) => IoClient;

export class ClientWrappers {
  readonly #wraps: readonly WrapClient[];
  readonly #wrapped = new WeakMap<IoClient, IoClient>();
  readonly #originals = new WeakMap<IoClient, IoClient>();

  /** The first one stands nearest to the client. */
  constructor(wraps: readonly WrapClient[]) {
    this.#wraps = wraps;
  }

  /**
   * The wrapped client: always the same one for the same client, also for one that is half wrapped.
   */
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

  /** The operator's client. */
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
