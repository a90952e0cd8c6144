/**
 * FuzzInput: decodes an input's bytes into a program.
 *
 * Called by: every target (targets/), which reads its inputs through it.
 *
 * Any bytes are a valid program, a changed byte changes little, and a shorter input is a shorter
 * program. Bytes beyond the end read as 0.
 */

export class FuzzInput {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Whether all bytes are read: programs end here. */
  get isEmpty(): boolean {
    return this.#at >= this.#bytes.length;
  }

  u8(): number {
    return this.#bytes[this.#at++] ?? 0;
  }

  u16(): number {
    return this.u8() | (this.u8() << 8);
  }

  u32(): number {
    return (this.u16() | (this.u16() << 16)) >>> 0;
  }

  /**
   * 0…`count` − 1, with small numbers slightly more likely. Takes as many bytes as `count` needs.
   */
  below(count: number): number {
    return (count <= 256 ? this.u8() : count <= 65_536 ? this.u16() : this.u32()) % count;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  /** One of `interesting` in three of four cases, otherwise any 32 bits. */
  word(interesting: readonly number[]): number {
    const choice = this.u8();
    return choice < 192 ? (interesting[choice % interesting.length] as number) >>> 0 : this.u32();
  }

  /** The remaining bytes. */
  rest(): Uint8Array {
    const rest = this.#bytes.subarray(Math.min(this.#at, this.#bytes.length));
    this.#at = this.#bytes.length;
    return rest;
  }
}
