/**
 * Expectation: searches the guest's output for the text of `--expect`, which may be spread over
 * several chunks of output.
 *
 * Called by: runSession; SessionSave, for the text of `--save-after`, with the guest's console.
 */

export class Expectation {
  readonly #text: Buffer;
  /** The end of the output so far: what a match may begin with. */
  #tail: Buffer = Buffer.alloc(0);
  #isMet = false;

  constructor(text: string) {
    this.#text = Buffer.from(text, 'utf8');
  }

  get isMet(): boolean {
    return this.#isMet;
  }

  /** Searches the next chunk. Returns true as soon as the text has appeared, and from then on. */
  scan(bytes: Uint8Array): boolean {
    if (this.#isMet) return true;
    const window = Buffer.concat([this.#tail, bytes]);
    this.#isMet = window.includes(this.#text);
    const keep = Math.min(window.length, this.#text.length - 1);
    this.#tail = Buffer.from(window.subarray(window.length - keep));
    return this.#isMet;
  }
}
