/** LatePolicy: what happens to a request that its client does not finish within the time limit. */

/** Default time limit of a VM, in ms. */
export const CLIENT_TIMEOUT_MS = 5000;

/**
 * `all-ones`: remove the client and finish its requests as all ones, so that the guest goes on.
 * `wait`: report it, again at growing intervals, and leave the request with the client (for
 * debugging).
 */
export type LatePolicy = 'all-ones' | 'wait';
export const LATE_POLICIES = ['all-ones', 'wait'] as const satisfies readonly LatePolicy[];
