/**
 * LatePolicy: what happens to a request that its client does not finish within the time limit.
 * Called by: VmClients; vm/, cli/ and acrn-hsm/, for options.
 */

/** Default time limit of `createUserVm`, in ms. A VM of /dev/acrn_hsm has none by default. */
export const CLIENT_TIMEOUT_MS = 5000;

/**
 * `all-ones`: remove the client and finish its requests as all ones, so that the guest goes on. The
 * default client stays: only its requests are finished.
 * `wait`: report it, again at growing intervals, and leave the request with the client (for
 * debugging).
 */
export type LatePolicy = 'all-ones' | 'wait';
export const LATE_POLICIES = ['all-ones', 'wait'] as const satisfies readonly LatePolicy[];
