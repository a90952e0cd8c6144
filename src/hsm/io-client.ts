/**
 * IoClient: who handles the requests of its address ranges. Clients are made and destroyed while the VM runs. Their
 * ranges may overlap; the newest client wins.
 *
 * The HSM's worker calls `notify` in the Service VM's thread, and must get it back quickly: do the work there if it is
 * short, else start it and return. Each request has to be finished once, by `request.finish(ticket, value)`, from
 * whatever thread. A client that throws, or that does not finish within its time, is destroyed by the HSM: its requests
 * finish as all ones and its ranges fall to the default client (unless the VM prefers to wait for late clients).
 */

import type { AssignedRequest } from './assigned-request.js';
import type { ClientFinisher } from './request-finisher.js';

/** What a client is doing with a request that is late, for the operator. */
export interface ClientPosition {
  readonly detail?: string;
  readonly stack?: string;
}

export interface IoClient {
  readonly name: string;
  notify(request: AssignedRequest): void;
  /** For a client with a thread: whether that may still be in the middle of finishing a request. */
  readonly isRunning?: boolean;
  /** For a client that finishes from another thread: it is told where, before its first request. */
  connect?(finisher: ClientFinisher): void;
  /**
   * For a client that finishes from another thread: whether its answers to requests from now on have to come by way of
   * `request.finish` in the Service VM's thread, where they can be held, and can go wrong on purpose. Those of a client without
   * it can not.
   */
  relay?(on: boolean): void;
  /** The client was taken out, by its owner or by the HSM; no request will come any more. */
  disconnected?(): void;
  /** Where it is with its request in slot `vcpu`, which is late; undefined if it cannot say. */
  explain?(vcpu: number): ClientPosition | undefined;
}
