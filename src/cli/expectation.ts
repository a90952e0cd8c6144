/** Expectation: looks for a text in what the guest prints, however it is cut into pieces. */

export class Expectation {
  readonly #wanted: Buffer;
  #tail: Buffer = Buffer.alloc(0);
  #isMet = false;

  constructor(text: string) {
    this.#wanted = Buffer.from(text, 'utf8');
  }

  get isMet(): boolean {
    return this.#isMet;
  }

  /** True from the piece on in which the text is complete. */
  see(bytes: Uint8Array): boolean {
    if (this.#isMet) return true;
    const window = Buffer.concat([this.#tail, bytes]);
    this.#isMet = window.includes(this.#wanted);
    const keep = Math.min(window.length, this.#wanted.length - 1);
    this.#tail = Buffer.from(window.subarray(window.length - keep));
    return this.#isMet;
  }
}
