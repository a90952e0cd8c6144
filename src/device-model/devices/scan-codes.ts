/**
 * Scan codes: the translation of a keyboard's codes (set 2) into those of the PC XT (set 1), which
 * PC software expects.
 *
 * Called by: the controller while translation is enabled, and the keyboard in set 1.
 *
 * Set 2 marks a release with the byte 0xF0 before the code, set 1 with bit 7 of the code.
 */

/** In set 2, the prefix of a release. */
export const RELEASE_PREFIX = 0xf0;

const RELEASE_BIT = 0x80;

/**
 * The 8042's translation table (IBM PS/2 Hardware Interface Technical Reference): the code in set 1
 * for each code of set 2 from 0 to 0x7f, as two hexadecimal digits.
 */
const SET_1_BY_SET_2 =
  'ff43413f3d3b3c58644442403e0f2959' +
  '65382a701d10025a66712c1f1e11035b' +
  '672e2d201205045c68392f211413065d' +
  '693130232215075e6a7232241608095f' +
  '6b332517180b0a606c34352627190c61' +
  '6d7328741a0d626e3a361c1b752b6376' +
  '55567778797a0e7b7c4f7d4b477e7f6f' +
  '5253504c4d480145574e514a37494654';

const SET_1 = Uint8Array.from({ length: SET_1_BY_SET_2.length / 2 }, (_, code) =>
  parseInt(SET_1_BY_SET_2.slice(2 * code, 2 * code + 2), 16),
);

/**
 * Codes above the table, in set 2 and in set 1. All other bytes above it, such as the prefix 0xE0
 * and the keyboard's answers, pass unchanged.
 */
const F7 = [0x83, 0x41] as const;
const SYS_RQ = [0x84, 0x54] as const;

/** Translates a stream of bytes. Keeps the release prefix until its code comes. */
export class ScanCodeTranslator {
  #isRelease = false;

  /** The byte in set 1. Undefined for the prefix, which becomes bit 7 of the next byte. */
  translate(byte: number): number | undefined {
    if (byte === RELEASE_PREFIX) {
      this.#isRelease = true;
      return undefined;
    }
    const release = this.#isRelease ? RELEASE_BIT : 0;
    this.#isRelease = false;
    if (byte === F7[0]) return F7[1] | release;
    if (byte === SYS_RQ[0]) return SYS_RQ[1] | release;
    return byte < SET_1.length ? (SET_1[byte] ?? 0) | release : byte;
  }

  /** Whether the release prefix was translated last. */
  get isRelease(): boolean {
    return this.#isRelease;
  }

  set isRelease(isRelease: boolean) {
    this.#isRelease = isRelease;
  }

  reset(): void {
    this.#isRelease = false;
  }
}
