/**
 * HsmObserver: observer of the HSM, for the operator, the statistics and the trace.
 *
 * Called by: VmRequests, VmClients and CLEAR. ServiceVm passes an observer for each VM.
 * Threads: all calls come in the Service VM's thread.
 */

import type { AssignedRequest } from './assigned-request.js';
import type { IoClient } from './io-client.js';
import type { LatePolicy } from './late-policy.js';
import type { Hold } from './time-limit.js';

export type HsmEvent =
  /**
   * No client serves this request and there is no default client. The slot waits for the next pass
   * of the worker.
   */
  | { readonly kind: 'no-client'; readonly vmId: number; readonly vcpu: number }
  /**
   * A client threw or reported a failure. Its requests finished as all ones, and it was destroyed,
   * unless it is the default client.
   */
  | {
      readonly kind: 'client-failed';
      readonly vmId: number;
      readonly client: string;
      /** The default client, which stays. */
      readonly isDefault?: true;
      readonly message: string;
      readonly stack?: string;
    }
  /**
   * A client did not finish a request within its time limit. Under the policy `all-ones`, its
   * requests finished as all ones, and it was destroyed, unless it is the default client. Under
   * `wait` it keeps the request, which is reported again later.
   */
  | {
      readonly kind: 'client-late';
      readonly vmId: number;
      readonly client: string;
      /** The default client, which stays. */
      readonly isDefault?: true;
      readonly vcpu: number;
      readonly request: string;
      readonly limitMs: number;
      readonly elapsedMs: number;
      readonly policy: LatePolicy;
      /** What the client is doing with the request. Undefined if it cannot say. */
      readonly detail?: string;
      /** Where it began to wait. Undefined unless stacks are recorded. */
      readonly stack?: string;
    }
  /**
   * A request has had its time limit, but the Service VM's thread was blocked meanwhile, so its
   * client could not answer. The request gets a fresh period. After MAX_FRESH_PERIODS
   * (sync/timer-lateness.ts) of them it gets only the time for which the thread was blocked.
   */
  | ({
      readonly kind: 'limit-extended';
      readonly vmId: number;
      readonly client: string;
      readonly vcpu: number;
      readonly request: string;
      readonly limitMs: number;
      readonly elapsedMs: number;
    } & Hold)
  /** The completion hypercall was refused. */
  | { readonly kind: 'notify-failed'; readonly vmId: number; readonly vcpu: number; readonly result: number }
  /** CLEAR gave up waiting for a client's requests. */
  | { readonly kind: 'flush-timeout'; readonly vmId: number; readonly client: string };

export interface HsmObserver {
  /** May add and remove clients. Must not throw: the HSM does not catch it. */
  event(event: HsmEvent): void;
  /** A request is about to be assigned to `client`. Must be quick. */
  assigning?(client: IoClient): void;
  /** The HSM starts (true) or stops (false) finishing a client's requests in the client's place. */
  forcing?(isForced: boolean): void;
  /**
   * A request was dispatched to `client` and may be answered already. Undefined: the HSM is about
   * to answer it itself. Must be quick and must not keep `request`.
   */
  dispatched?(vmId: number, request: AssignedRequest, client: IoClient | undefined): void;
}
