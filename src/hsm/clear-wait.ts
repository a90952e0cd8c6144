/**
 * The wait of CLEAR (the ioctl CLEAR_VM_IOREQ, and a step of each reset): gives the other clients a
 * bounded time to finish their requests before those of the default client are completed.
 *
 * Called by: VmRequests.clear. The VM's life cycles (vm/) use the same numbers.
 */

import { delay } from '../sync/bounded-wait.js';
import type { Assignments } from './assignments.js';
import type { HsmObserver } from './hsm-observer.js';
import type { IoClient } from './io-client.js';

/** CLEAR waits at most this many rounds, this many ms each. Both numbers are the driver's. */
export const CLEAR_ROUNDS = 10;
export const CLEAR_SLEEP_MS = 10;

export interface ClearWait {
  readonly vmId: number;
  /**
   * The clients without the default one. Called in every round, because clients are added and
   * removed meanwhile.
   */
  readonly clients: () => readonly IoClient[];
  readonly assignments: Assignments;
  readonly observer: HsmObserver;
  /** Replaces the timer, for tests. Undefined: a timer. */
  readonly sleep: ((ms: number) => Promise<void>) | undefined;
}

/**
 * Resolves when no client has a request, or after the last round. As in the driver, that reports
 * the client that had one when the round began.
 */
export async function waitForClients({
  vmId,
  clients,
  assignments,
  observer,
  sleep = delay,
}: ClearWait): Promise<void> {
  const findBusy = (): IoClient | undefined => clients().find((client) => assignments.slotsOf(client) !== 0);
  let busy = findBusy();
  for (let round = 0; busy !== undefined && round < CLEAR_ROUNDS; round++) {
    await sleep(CLEAR_SLEEP_MS);
    if (round === CLEAR_ROUNDS - 1) observer.event({ kind: 'flush-timeout', vmId, client: busy.name });
    busy = findBusy();
  }
}
