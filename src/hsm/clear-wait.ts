/** CLEAR's wait: before the default client's requests are completed, the other clients get a bounded time to end theirs. */

import { delay } from '../sync/bounded-wait.js';
import type { Assignments } from './assignments.js';
import type { HsmObserver } from './hsm-observer.js';
import type { IoClient } from './io-client.js';

/** CLEAR waits for the clients at most so often, so long each time; the driver's numbers. */
export const CLEAR_ROUNDS = 10;
export const CLEAR_SLEEP_MS = 10;

export interface ClearWait {
  readonly vmId: number;
  /** Asked again for each look: clients come and go meanwhile. */
  readonly clients: () => readonly IoClient[];
  readonly assignments: Assignments;
  readonly observer: HsmObserver;
  readonly sleep: ((ms: number) => Promise<void>) | undefined;
}

/** Resolves when no client has a request any more, or after the last round, which tells of the client that still has one. */
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
