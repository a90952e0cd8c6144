/** LatePolicy: how long a client may take for a request, and what becomes of a request that takes longer. */

/** Default of a VM, in ms. */
export const CLIENT_TIMEOUT_MS = 5000;

/**
 * `all-ones`: remove the client and finish its requests as all ones, so that the guest goes on. `wait`: report it, again at
 * growing intervals, and leave the request with the client (for debugging).
 */
export type LatePolicy = 'all-ones' | 'wait';
export const LATE_POLICIES = ['all-ones', 'wait'] as const satisfies readonly LatePolicy[];
