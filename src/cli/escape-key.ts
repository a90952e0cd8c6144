/**
 * EscapeKey: Ctrl-] leaves the session, as in telnet. Every other key goes to the guest, Ctrl-C
 * included.
 *
 * Pressed twice within SECOND_PRESS_MS, one Ctrl-] goes to the guest. Any other key in that time
 * leaves at once.
 */

import type { Clock, ClockTimer } from '../device-model/clock.js';

/** The byte that a terminal sends for Ctrl-]. */
export const ESCAPE_KEY = 0x1d;
export const ESCAPE_KEY_NAME = 'Ctrl-]';
/** Time for the second press. */
export const SECOND_PRESS_MS = 400;

export class EscapeKey {
  readonly #clock: Clock;
  readonly #leave: () => void;
  /** Runs after a first press, until the second one or another key. */
  #timer: ClockTimer | undefined;
  #hasLeft = false;

  constructor(clock: Clock, leave: () => void) {
    this.#clock = clock;
    this.#leave = leave;
  }

  /** Returns the typed bytes that are for the guest. */
  filter(typed: Uint8Array): Uint8Array {
    const kept = new Uint8Array(typed.length);
    let length = 0;
    for (const byte of typed) {
      if (this.#hasLeft) break;
      if (this.#timer === undefined) {
        if (byte !== ESCAPE_KEY) kept[length++] = byte;
        else this.#timer = this.#clock.schedule(this.#clock.now() + SECOND_PRESS_MS, () => this.#leaveOnce());
        continue;
      }
      if (byte === ESCAPE_KEY) {
        this.#timer.cancel();
        this.#timer = undefined;
        kept[length++] = byte;
      } else this.#leaveOnce();
    }
    return kept.subarray(0, length);
  }

  #leaveOnce(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.#leave();
  }
}
