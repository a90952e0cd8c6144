/**
 * MsixTable: the table of MSI-X messages with its pending bits, as the BAR that holds both.
 *
 * Called by: CardInterrupts, for messages; CardClient, for the guest's accesses.
 *
 * An entry is the address (8 bytes), the data (4) and the vector control (4), of which bit 0 masks
 * the entry. The guest must access it in aligned units of 4 or 8 bytes. DeviceClient makes two
 * accesses of 4 bytes from one of 8. Others read as all ones and are ignored here: the
 * specification leaves them undefined.
 *
 * Source: PCI Local Bus Specification 3.0, section 6.8.2.
 */

import { allOnes, type AccessSize, type Device } from '../device.js';
import { msixHalf } from './card-description.js';

const ENTRY_WORDS = 4;
const Word = { ADDRESS: 0, ADDRESS_HIGH: 1, DATA: 2, CONTROL: 3 } as const;
const MASKED = 1;
/** The bits that exist, by word. */
const WRITABLE = [0xffff_fffc, 0xffff_ffff, 0xffff_ffff, MASKED] as const;

/** An entry of the table, for the operator. */
export interface MsixEntryView {
  readonly vector: number;
  readonly address: bigint;
  readonly data: number;
  readonly isMasked: boolean;
  readonly isPending: boolean;
}

/** Message number `vector`. `addressHigh`, `address`, `data`: 32 bits each. */
export type SendMessage = (vector: number, addressHigh: number, address: number, data: number) => void;

export class MsixTable implements Device {
  readonly name: string;
  readonly #words: Uint32Array;
  readonly #pending: Uint32Array;
  readonly #vectors: number;
  readonly #pendingStart: number;
  readonly #onUnmask: () => void;

  /** `onUnmask`: the guest has changed an entry, so that a pending message may go. */
  constructor(name: string, vectors: number, onUnmask: () => void) {
    this.name = name;
    this.#vectors = vectors;
    this.#words = new Uint32Array(vectors * ENTRY_WORDS);
    this.#pending = new Uint32Array(Math.ceil(vectors / 32));
    this.#pendingStart = msixHalf(vectors);
    this.#onUnmask = onUnmask;
    this.reset();
  }

  read(offset: number, size: AccessSize): number {
    if (size !== 4 || offset % 4 !== 0) return allOnes(size);
    const isPending = offset >= this.#pendingStart;
    return (isPending ? this.#pending[(offset - this.#pendingStart) / 4] : this.#words[offset / 4]) ?? 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (size !== 4 || offset % 4 !== 0) return;
    const at = offset / 4;
    // A typed array ignores a store beyond its end: the pending bits are read-only. `as 0`: the
    // index is one of the four.
    this.#words[at] = value & WRITABLE[(at % ENTRY_WORDS) as 0];
    this.#onUnmask();
  }

  /**
   * Sends message `vector`, or makes it pending if it is masked. `isMasked`: whether the guest has
   * masked all messages of the card, by message control.
   */
  post(vector: number, isMasked: boolean, send: SendMessage): void {
    if (isMasked || this.#isEntryMasked(vector))
      this.#pending[vector >>> 5] = (this.#pending[vector >>> 5] as number) | (1 << (vector & 31));
    else this.#send(vector, send);
  }

  isPending(vector: number): boolean {
    return (((this.#pending[vector >>> 5] ?? 0) >>> (vector & 31)) & 1) === 1;
  }

  /** The first entries, at most `most`. */
  entries(most: number): MsixEntryView[] {
    return Array.from({ length: Math.min(most, this.#vectors) }, (_, vector) => {
      const word = (index: number): number => this.#words[vector * ENTRY_WORDS + index] as number;
      return {
        vector,
        address: (BigInt(word(Word.ADDRESS_HIGH)) << 32n) | BigInt(word(Word.ADDRESS)),
        data: word(Word.DATA),
        isMasked: (word(Word.CONTROL) & MASKED) !== 0,
        isPending: this.isPending(vector),
      };
    });
  }

  /**
   * Sends the pending messages whose entries are not masked. Callers check first that the guest has
   * not masked all messages.
   */
  flush(send: SendMessage): void {
    for (let word = 0; word < this.#pending.length; word++) {
      let bits = this.#pending[word] as number;
      while (bits !== 0) {
        const bit = 31 - Math.clz32(bits);
        bits &= ~(1 << bit);
        const vector = word * 32 + bit;
        if (this.#isEntryMasked(vector)) continue;
        this.#pending[word] = (this.#pending[word] as number) & ~(1 << bit);
        this.#send(vector, send);
      }
    }
  }

  reset(): void {
    this.#words.fill(0);
    this.#pending.fill(0);
    for (let vector = 0; vector < this.#vectors; vector++) this.#words[vector * ENTRY_WORDS + Word.CONTROL] = MASKED;
  }

  #isEntryMasked(vector: number): boolean {
    return ((this.#words[vector * ENTRY_WORDS + Word.CONTROL] as number) & MASKED) !== 0;
  }

  #send(vector: number, send: SendMessage): void {
    const at = vector * ENTRY_WORDS;
    send(
      vector,
      this.#words[at + Word.ADDRESS_HIGH] as number,
      this.#words[at + Word.ADDRESS] as number,
      this.#words[at + Word.DATA] as number,
    );
  }
}
