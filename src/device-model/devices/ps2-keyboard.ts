/**
 * Ps2Keyboard: the keyboard behind the I8042. It receives commands and sends bytes: its answers,
 * and the keys that the operator presses. It answers all that firmware and Linux' atkbd probe.
 *
 * Called by: I8042, which passes commands on and shows the bytes to the guest.
 *
 * It uses scan code set 2, or set 1 on command. It refuses set 3, as many keyboards do. A new
 * command discards the answers that were not sent yet, as on real keyboards, so the answers are
 * limited by the longest one.
 */

import { SavedState } from '../../io-request/saved-state.js';
import { ScanCodeTranslator } from './scan-codes.js';

/** Bytes of keys that wait for the guest. The buffer of an IBM keyboard holds 16. */
export const KEY_QUEUE_LIMIT = 16;

/**
 * Commands of the host, which reach the keyboard through the controller (IBM PS/2 Hardware
 * Interface Technical Reference, keyboard).
 */
const Command = {
  SET_LEDS: 0xed,
  ECHO: 0xee,
  SCAN_CODE_SET: 0xf0,
  IDENTIFY: 0xf2,
  TYPEMATIC: 0xf3,
  ENABLE: 0xf4,
  DISABLE: 0xf5,
  DEFAULTS: 0xf6,
  RESEND: 0xfe,
  RESET: 0xff,
} as const;

const ACK = 0xfa;
/** The keyboard's answer to a byte that it does not know. */
const RESEND_PLEASE = 0xfe;
const SELF_TEST_PASSED = 0xaa;
/** An "MF2" keyboard. */
const IDENTITY = [0xab, 0x83] as const;
/** Sent in place of keys that did not fit into the buffer, in set 2 and in set 1. */
const OVERRUN = [0x00, 0xff] as const;

export class Ps2Keyboard {
  /** Sent before keys, because hosts wait for them. They may come between the bytes of a key. */
  #answers: number[] = [];
  #keys: number[] = [];
  readonly #toSet1 = new ScanCodeTranslator();
  /** A command whose parameter is the next byte from the host. */
  #parameterOf: number | undefined;
  #isScanning = true;
  #set: 1 | 2 = 2;
  #leds = 0;
  #lastSent = 0;
  #droppedKeys = 0;

  /** Scroll lock 1, num lock 2, caps lock 4, as the guest set them. */
  get leds(): number {
    return this.#leds;
  }

  /** Presses and releases that did not fit into the buffer since the reset. */
  get droppedKeys(): number {
    return this.#droppedKeys;
  }

  get hasByte(): boolean {
    return this.#answers.length > 0 || this.#keys.length > 0;
  }

  /** The next byte to the host. 0 if there is no byte: check `hasByte` first. */
  take(): number {
    this.#lastSent = this.#answers.shift() ?? this.#keys.shift() ?? 0;
    return this.#lastSent;
  }

  /**
   * Takes the set 2 codes of one press or release. Returns false if the guest has disabled keys, or
   * the codes do not fit into the buffer.
   */
  press(codes: readonly number[]): boolean {
    if (!this.#isScanning) return false;
    const bytes = this.#set === 2 ? codes : codes.flatMap((code) => this.#toSet1.translate(code) ?? []);
    // The last place is reserved for the overrun code.
    if (this.#keys.length + bytes.length < KEY_QUEUE_LIMIT) {
      this.#keys.push(...bytes.map((byte) => byte & 0xff));
      return true;
    }
    this.#droppedKeys++;
    const overrun = OVERRUN[this.#set === 2 ? 0 : 1];
    if (this.#keys.length < KEY_QUEUE_LIMIT && this.#keys.at(-1) !== overrun) this.#keys.push(overrun);
    return false;
  }

  /** A byte from the host. */
  receive(byte: number): void {
    this.#answers = [];
    const command = this.#parameterOf;
    this.#parameterOf = undefined;
    // All parameters are below the commands, so a command in place of a parameter is recognised.
    if (command !== undefined && byte < Command.SET_LEDS) this.#takeParameter(command, byte);
    else this.#execute(byte);
  }

  /**
   * The state after firmware has initialised it: scanning, with nothing to send. At a reset of the
   * machine, and by the guest's RESET.
   */
  reset(): void {
    this.#setDefaults();
    this.#answers = [];
    this.#parameterOf = undefined;
    this.#isScanning = true;
    this.#leds = 0;
    this.#lastSent = 0;
    this.#droppedKeys = 0;
  }

  save(): unknown {
    return {
      answers: this.#answers,
      keys: this.#keys,
      isRelease: this.#toSet1.isRelease,
      parameterOf: this.#parameterOf ?? null,
      isScanning: this.#isScanning,
      set: this.#set,
      leds: this.#leds,
      lastSent: this.#lastSent,
      droppedKeys: this.#droppedKeys,
    };
  }

  restore(state: unknown): void {
    const from = new SavedState('keyboard', state);
    this.#answers = [...from.integersUpTo('answers', KEY_QUEUE_LIMIT, 0, 0xff)];
    this.#keys = [...from.integersUpTo('keys', KEY_QUEUE_LIMIT, 0, 0xff)];
    this.#toSet1.isRelease = from.boolean('isRelease');
    this.#parameterOf = from.optional('parameterOf', () => from.byte('parameterOf'));
    this.#isScanning = from.boolean('isScanning');
    this.#set = from.oneOf('set', [1, 2]);
    this.#leds = from.integer('leds', 0, 7);
    this.#lastSent = from.byte('lastSent');
    this.#droppedKeys = from.integer('droppedKeys', 0, Number.MAX_SAFE_INTEGER);
  }

  #execute(command: number): void {
    switch (command) {
      case Command.SET_LEDS:
      case Command.SCAN_CODE_SET:
      case Command.TYPEMATIC:
        this.#parameterOf = command;
        this.#answers = [ACK];
        return;
      case Command.ECHO:
        this.#answers = [Command.ECHO];
        return;
      case Command.IDENTIFY:
        this.#answers = [ACK, ...IDENTITY];
        return;
      case Command.ENABLE:
      case Command.DISABLE:
        this.#isScanning = command === Command.ENABLE;
        this.#keys = [];
        if (command === Command.DISABLE) this.#setDefaults();
        this.#answers = [ACK];
        return;
      case Command.DEFAULTS:
        this.#setDefaults();
        this.#answers = [ACK];
        return;
      case Command.RESEND:
        this.#answers = [this.#lastSent];
        return;
      case Command.RESET:
        this.reset();
        this.#answers = [ACK, SELF_TEST_PASSED];
        return;
      default:
        this.#answers = [RESEND_PLEASE];
    }
  }

  #takeParameter(command: number, value: number): void {
    this.#answers = [ACK];
    if (command === Command.SET_LEDS) this.#leds = value & 7;
    if (command !== Command.SCAN_CODE_SET) return;
    if (value === 0) this.#answers = [ACK, this.#set];
    else if (value === 1 || value === 2) this.#set = value;
    else this.#answers = [RESEND_PLEASE];
  }

  #setDefaults(): void {
    this.#set = 2;
    this.#keys = [];
    this.#toSet1.reset();
  }
}
