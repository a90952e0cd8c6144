/**
 * FuzzInput: a program read out of an input's bytes. Every target reads its inputs through it, so
 * that any bytes are some program, a changed byte changes little, and a shorter input is a shorter
 * program. Beyond the end all bytes are 0.
 */

export class FuzzInput {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Nothing is left: programs end here. */
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

  /** 0…`count` − 1. */
  below(count: number): number {
    return (count <= 256 ? this.u8() : count <= 65_536 ? this.u16() : this.u32()) % count;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  /** Mostly one of `interesting`, else any 32 bits. */
  word(interesting: readonly number[]): number {
    const choice = this.u8();
    return choice < 192 ? (interesting[choice % interesting.length] as number) >>> 0 : this.u32();
  }

  /** What is left. */
  rest(): Uint8Array {
    const rest = this.#bytes.subarray(Math.min(this.#at, this.#bytes.length));
    this.#at = this.#bytes.length;
    return rest;
  }
}
