/** HsmObserver: what the HSM tells the operator, the statistics and the trace. All calls come in the Service VM's thread. */

import type { AssignedRequest } from './assigned-request.js';
import type { IoClient } from './io-client.js';
import type { LatePolicy } from './late-policy.js';

export type HsmEvent =
  /** Nobody serves this request, and there is no default client; the slot waits for the next upcall. */
  | { readonly kind: 'no-client'; readonly vmId: number; readonly vcpu: number }
  /** A client threw, or said that it failed. It was destroyed and its requests finished as all ones. */
  | {
      readonly kind: 'client-failed';
      readonly vmId: number;
      readonly client: string;
      readonly message: string;
      readonly stack?: string;
    }
  /**
   * A client did not finish a request within its time. By the policy it was destroyed and its requests finished as all
   * ones, or it keeps the request, which is told again as time goes on.
   */
  | {
      readonly kind: 'client-late';
      readonly vmId: number;
      readonly client: string;
      readonly vcpu: number;
      readonly request: string;
      readonly limitMs: number;
      readonly elapsedMs: number;
      readonly policy: LatePolicy;
      /** What the client is doing with it, as far as it can say. */
      readonly detail?: string;
      /** Where it began to wait, if somebody keeps that. */
      readonly stack?: string;
    }
  /** The completion hypercall was refused. */
  | { readonly kind: 'notify-failed'; readonly vmId: number; readonly vcpu: number; readonly result: number }
  /** CLEAR gave up waiting for a client's requests. */
  | { readonly kind: 'flush-timeout'; readonly vmId: number; readonly client: string };

export interface HsmObserver {
  event(event: HsmEvent): void;
  /** A request is about to be given to `client`. Must be quick. */
  assigning?(client: IoClient): void;
  /** The HSM begins (true) or ends to finish a client's requests in its place. */
  forcing?(isForced: boolean): void;
  /** A request was given to `client`, and perhaps answered already; undefined when the HSM is about to answer it itself. Must be quick and must not keep `request`. */
  dispatched?(vmId: number, request: AssignedRequest, client: IoClient | undefined): void;
}
