/**
 * ClientWrappers: the pairs of an operator's I/O client and the client that the HSM gets in its
 * place. They differ if a tool stands between the two: fault injection, or the recording of stacks
 * for late requests. Such a tool wraps the client in one of its own. The operator's program always
 * names the original. A VM without such tools has no wrappers, and the HSM gets the originals.
 *
 * Called by: UserVm, VmDevices and VmInspection, wherever a client passes from the operator to the
 * HSM or back.
 */

import type { IoClient } from '../hsm/io-client.js';
import type { FaultInjection } from '../fault-injection/fault-injection.js';
import type { LateRequestStacks } from './late-request-stacks.js';

/** Returns the client to use in place of `client`, or `client` itself. */
export type WrapClient = (client: IoClient, isDefault: boolean) => IoClient;

export class ClientWrappers {
  readonly #wraps: readonly WrapClient[];
  readonly #wrapped = new WeakMap<IoClient, IoClient>();
  readonly #originals = new WeakMap<IoClient, IoClient>();

  /** The first wrapper is the innermost. */
  constructor(wraps: readonly WrapClient[]) {
    this.#wraps = wraps;
  }

  /** The client for the HSM. It is the same one for the original and for each wrapper around it. */
  of(client: IoClient): IoClient {
    return this.#wrap(client, false);
  }

  /** The same for the default client, which no tool may remove. */
  ofDefault(client: IoClient): IoClient {
    return this.#wrap(client, true);
  }

  /** The operator's client. */
  original(client: IoClient): IoClient {
    return this.#originals.get(client) ?? client;
  }

  #wrap(client: IoClient, isDefault: boolean): IoClient {
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
}

/** The wrappers of a VM with these tools. */
export function wrappersFor(
  lateStacks: LateRequestStacks | undefined,
  faults: FaultInjection | undefined,
): ClientWrappers {
  const wraps: WrapClient[] = [];
  if (lateStacks !== undefined) wraps.push((client) => lateStacks.wrap(client));
  if (faults !== undefined) wraps.push((client, isDefault) => faults.wrap(client, isDefault));
  return new ClientWrappers(wraps);
}
