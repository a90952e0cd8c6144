/** Expectation: searches the guest's output for a text that may span several chunks. */

export class Expectation {
  readonly #text: Buffer;
  #tail: Buffer = Buffer.alloc(0);
  #isMet = false;

  constructor(text: string) {
    this.#text = Buffer.from(text, 'utf8');
  }

  get isMet(): boolean {
    return this.#isMet;
  }

  /** Returns true from the chunk on that completes the text. */
  scan(bytes: Uint8Array): boolean {
    if (this.#isMet) return true;
    const window = Buffer.concat([this.#tail, bytes]);
    this.#isMet = window.includes(this.#text);
    const keep = Math.min(window.length, this.#text.length - 1);
    this.#tail = Buffer.from(window.subarray(window.length - keep));
    return this.#isMet;
  }
}
