/**
 * SharedRing: ACRN's `shared_buf`, a ring of equal elements in one page. The hypervisor produces
 * asynchronous kicks and VM events, and the Service VM consumes them.
 *
 * Threads: one producer at a time, one consumer.
 *
 * Called by: AsyncIo, for the hypervisor; hsm/async-io.ts and hsm/acrn-vm-events.ts, which take
 * elements; vm/card-doorbells.ts, which makes a page.
 *
 * ACRN userspace can write the page. So both sides take the geometry from the set-up, and read only
 * the two offsets from the page, validating each. A full ring leaves one element unused, because
 * head = tail means empty.
 *
 * Ordering: the producer loads the head, stores the element, then stores the tail. The consumer
 * loads the tail, reads the element, then stores the head. Offsets are atomic, elements plain: the
 * store of an offset releases the accesses before it, and the load of it by the other side acquires
 * them.
 *
 * Source: ACRN's `sbuf.h`. Magic u64 at 0, element count and size u32 at 8 and 12. Head and tail
 * u32 at 16 and 20, as byte offsets into the data, which begins at 64. Flags at 24, overrun count
 * at 32, data size at 36. Nothing here reads flags and overrun count.
 */

import { PAGE_BYTES } from '../io-request/layout.js';
import { SharedWords } from './shared-words.js';

export const RING_MAGIC = 0x5aa5_7aa7_1aa1_3aa3n;
export const RING_HEADER_BYTES = 64;
/** Bytes of a page available for elements. */
export const RING_DATA_BYTES = PAGE_BYTES - RING_HEADER_BYTES;

const ELEMENT_COUNT = 8;
const ELEMENT_BYTES = 12;
const HEAD = 16 >> 2;
const TAIL = 20 >> 2;
const DATA_SIZE = 36;
const DATA = RING_HEADER_BYTES >> 2;

export const RingResult = {
  DONE: 0,
  /** `put`: the ring is full. `take`: the ring is empty. */
  BUSY: 1,
  /** An offset in the page is invalid: another writer corrupted it. Nothing was done. */
  CORRUPT: 2,
} as const;
export type RingResult = (typeof RingResult)[keyof typeof RingResult];

/**
 * A page as ACRN userspace sets it up: the header, and zeros. `elementBytes` is a multiple of 4,
 * here and below.
 */
export function createRingPage(elementBytes: number, page: Uint8Array = new Uint8Array(PAGE_BYTES)): Uint8Array {
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  const count = Math.floor(RING_DATA_BYTES / elementBytes);
  page.fill(0);
  view.setBigUint64(0, RING_MAGIC, true);
  view.setUint32(ELEMENT_COUNT, count, true);
  view.setUint32(ELEMENT_BYTES, elementBytes, true);
  view.setUint32(DATA_SIZE, count * elementBytes, true);
  return page;
}

/**
 * Element count in the header. Returns 0 if the header is invalid or of another element size.
 * Called by AsyncIo, each time that the Service VM sets up the ring.
 */
export function ringElements(page: Uint8Array, elementBytes: number): number {
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  const count = view.getUint32(ELEMENT_COUNT, true);
  const isRing =
    view.getBigUint64(0, true) === RING_MAGIC &&
    view.getUint32(ELEMENT_BYTES, true) === elementBytes &&
    count >= 2 &&
    count * elementBytes <= RING_DATA_BYTES;
  return isRing ? count : 0;
}

export class SharedRing {
  readonly #words: SharedWords;
  readonly #elementBytes: number;
  readonly #bytes: number;

  /** `elements` is what `ringElements` returned at the set-up. */
  constructor(page: SharedArrayBuffer, elementBytes: number, elements: number) {
    this.#words = new SharedWords(page);
    this.#elementBytes = elementBytes;
    this.#bytes = elements * elementBytes;
  }

  /** A corrupt ring counts as empty. */
  get isEmpty(): boolean {
    const head = this.#words.load(HEAD);
    const tail = this.#words.load(TAIL);
    return head === tail || !this.#isOffset(head) || !this.#isOffset(tail);
  }

  /** Byte offset, in the data, of the next element to put. Not validated. */
  get tail(): number {
    return this.#words.load(TAIL);
  }

  get isFull(): boolean {
    return this.#isOffset(this.tail) && this.#next(this.tail) === this.#words.load(HEAD);
  }

  /** Producer side. `element` holds the element's int32 words. */
  put(element: Int32Array): RingResult {
    const words = this.#words;
    const tail = words.load(TAIL);
    const head = words.load(HEAD);
    if (!this.#isOffset(tail) || !this.#isOffset(head)) return RingResult.CORRUPT;
    const next = this.#next(tail);
    if (next === head) return RingResult.BUSY;
    const at = DATA + (tail >> 2);
    for (let i = 0; i < this.#elementBytes >> 2; i++) words.storeRelaxed(at + i, element[i] ?? 0);
    words.store(TAIL, next);
    return RingResult.DONE;
  }

  /** Consumer side: removes the oldest element and stores its int32 words in `element`. */
  take(element: Int32Array): RingResult {
    const words = this.#words;
    const head = words.load(HEAD);
    const tail = words.load(TAIL);
    if (!this.#isOffset(tail) || !this.#isOffset(head)) return RingResult.CORRUPT;
    if (head === tail) return RingResult.BUSY;
    const at = DATA + (head >> 2);
    for (let i = 0; i < this.#elementBytes >> 2; i++) element[i] = words.loadRelaxed(at + i);
    words.store(HEAD, this.#next(head));
    return RingResult.DONE;
  }

  #isOffset(offset: number): boolean {
    return offset >= 0 && offset < this.#bytes && offset % this.#elementBytes === 0;
  }

  #next(offset: number): number {
    const next = offset + this.#elementBytes;
    return next >= this.#bytes ? 0 : next;
  }
}
