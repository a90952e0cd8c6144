/**
 * EscapeKey: Ctrl-] leaves the session, as in telnet, because every other key is the guest's,
 * Ctrl-C included. Pressed twice, one of them goes to the guest. So after the first press there is
 * a moment in which the second may come; any other key in it leaves at once.
 */

import type { Clock, ClockTimer } from '../device-model/clock.js';

export const ESCAPE_KEY = 0x1d;
export const ESCAPE_KEY_NAME = 'Ctrl-]';
/** How long a second press may take. */
export const SECOND_PRESS_MS = 400;

export class EscapeKey {
  readonly #clock: Clock;
  readonly #leave: () => void;
  #timer: ClockTimer | undefined;
  #hasLeft = false;

  constructor(clock: Clock, leave: () => void) {
    this.#clock = clock;
    this.#leave = leave;
  }

  /** What of the typed bytes is for the guest. */
  filter(typed: Uint8Array): Uint8Array {
    const kept = new Uint8Array(typed.length);
    let length = 0;
    for (const byte of typed) {
      if (this.#hasLeft) break;
      if (this.#timer === undefined) {
        if (byte !== ESCAPE_KEY) kept[length++] = byte;
        else this.#timer = this.#clock.schedule(this.#clock.now() + SECOND_PRESS_MS, () => this.#go());
        continue;
      }
      if (byte === ESCAPE_KEY) {
        this.#timer.cancel();
        this.#timer = undefined;
        kept[length++] = byte;
      } else this.#go();
    }
    return kept.subarray(0, length);
  }

  #go(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.#leave();
  }
}
