/**
 * TurnBudget: the time that the messages of one client may take in a turn of the event loop. Other
 * cards of the process, timers and signals are served between two turns.
 *
 * Called by: ClientConnection begins the turns. VfioUserSession asks before each message.
 *
 * A turn may exceed it by one message, which is at most 8192 requests (64 KiB of data). The first
 * message of a turn reads no clock, so that the access of a vCPU that waits for it does not.
 */

/** Long beside an access, short beside what a user of another card notices. */
export const TURN_MS = 2;

export class TurnBudget {
  readonly #now: () => number;
  #isUnused = true;
  /** Set by the second message. */
  #endMs: number | undefined;

  /** `now`: in ms. */
  constructor(now: () => number) {
    this.#now = now;
  }

  begin(): void {
    this.#isUnused = true;
    this.#endMs = undefined;
  }

  /** Whether the turn has time for one more message. */
  hasTime(): boolean {
    if (this.#isUnused) {
      this.#isUnused = false;
      return true;
    }
    const nowMs = this.#now();
    this.#endMs ??= nowMs + TURN_MS;
    return nowMs < this.#endMs;
  }
}
