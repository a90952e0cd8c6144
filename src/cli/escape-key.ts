/**
 * EscapeKey: Ctrl-] is the prefix of the session's own keys, as in telnet. Every other key goes to
 * the guest, Ctrl-C included.
 *
 * After Ctrl-], within SECOND_KEY_MS:
 *
 * - Ctrl-] again goes to the guest, once.
 * - `p` or `P` shows the address of the live page.
 * - `s` or `S` saves the machine to the file of `--save`.
 * - Any other key leaves at once.
 *
 * If that time ends without a second key, the session is left, too.
 *
 * Called by: ConsoleInput, with each chunk that the operator typed.
 */

import type { Clock, ClockTimer } from '../device-model/clock.js';

/** The byte that a terminal sends for Ctrl-]. */
export const ESCAPE_KEY = 0x1d;
export const ESCAPE_KEY_NAME = 'Ctrl-]';
/** Shows the address of the live page. */
export const PAGE_KEY_NAME = 'p';
/** Saves the machine. */
export const SAVE_KEY_NAME = 's';
/**
 * Time for the second key. It is long enough for a hand that has to find the key, because the end
 * of this time leaves the session and ends the guest.
 */
export const SECOND_KEY_MS = 1000;

const PAGE_KEYS = codesOf('pP');
const SAVE_KEYS = codesOf('sS');

export interface EscapeActions {
  /** Called once. Later keys are dropped. */
  readonly leave: () => void;
  readonly showPage: () => void;
  readonly save: () => void;
}

export class EscapeKey {
  readonly #clock: Clock;
  readonly #actions: EscapeActions;
  /** Runs from the escape key until the second key. */
  #timer: ClockTimer | undefined;
  #hasLeft = false;

  constructor(clock: Clock, actions: EscapeActions) {
    this.#clock = clock;
    this.#actions = actions;
  }

  /** Returns the typed bytes that are for the guest. */
  filter(typed: Uint8Array): Uint8Array {
    const kept = new Uint8Array(typed.length);
    let length = 0;
    for (const byte of typed) {
      if (this.#hasLeft) break;
      if (this.#timer === undefined) {
        if (byte !== ESCAPE_KEY) kept[length++] = byte;
        else this.#timer = this.#clock.schedule(this.#clock.now() + SECOND_KEY_MS, () => this.#leave());
        continue;
      }
      if (byte === ESCAPE_KEY) {
        this.#cancel();
        kept[length++] = byte;
      } else if (PAGE_KEYS.includes(byte)) {
        this.#cancel();
        this.#actions.showPage();
      } else if (SAVE_KEYS.includes(byte)) {
        this.#cancel();
        this.#actions.save();
      } else this.#leave();
    }
    return kept.subarray(0, length);
  }

  #cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #leave(): void {
    this.#cancel();
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.#actions.leave();
  }
}

function codesOf(keys: string): readonly number[] {
  return Array.from(keys, (key) => key.charCodeAt(0));
}
