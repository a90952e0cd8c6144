/**
 * IoClient: handler of the requests in its address ranges. Clients are added and removed while the
 * VM runs. Their ranges may overlap, and the newest client wins.
 *
 * Called by: the HSM, in the Service VM's thread. Its worker calls `notify`.
 * Implementations must:
 * - return from `notify` quickly, so start long work there and finish it later.
 * - read the request's fields in `notify`, with its `ticket`, because a slot has one object for all
 *   of its requests.
 * - finish each request once, by `request.finish(ticket, value)` or in another thread.
 *
 * The HSM removes a client that throws, or that exceeds its time limit under the `all-ones` policy.
 * Its requests finish as all ones, and its ranges fall to older clients or the default client. The
 * default client itself is never removed: only its requests finish.
 */

import type { AssignedRequest } from './assigned-request.js';
import type { ClientFinisher } from './request-finisher.js';

/** What a client is doing with a late request, for the operator. */
export interface ClientPosition {
  readonly detail?: string;
  readonly stack?: string;
}

export interface IoClient {
  readonly name: string;
  notify(request: AssignedRequest): void;
  /**
   * For a client with a thread: whether the thread may still be finishing a request. If the thread
   * has taken a request's ticket, the HSM waits for it while this is true, and completes the
   * request itself when it is false. Default: the client has no thread.
   */
  readonly isRunning?: boolean;
  /**
   * For a client that finishes in another thread: passes what it needs, before its first request.
   * Not called if the hypervisor's state cannot be shared. A client without this method must finish
   * all requests in the Service VM's thread: the HSM then takes their tickets by plain loads and
   * stores.
   */
  connect?(finisher: ClientFinisher): void;
  /**
   * For a client that finishes in another thread: whether its answers to later requests must go
   * through `request.finish` in the Service VM's thread, where they can be held or faulted. Without
   * this method its answers cannot be. Other clients need none: theirs always go there.
   */
  relay?(on: boolean): void;
  /** The client was removed, by its owner or by the HSM. No request follows. */
  disconnected?(): void;
  /** What it is doing with its late request in slot `vcpu`. Undefined if it cannot say. */
  explain?(vcpu: number): ClientPosition | undefined;
}
