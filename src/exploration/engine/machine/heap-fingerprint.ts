/**
 * HeapFingerprint: 64 bits for the state of a thread. It covers its calls with their variables,
 * what waits in its loop, and everything that can be reached from there.
 *
 * Two runs of a thread with the same fingerprint continue alike, so a search needs only one of
 * them. Objects are numbered in the order of the walk: where they lie in memory does not matter.
 *
 * The walk covers fields, elements, properties of functions, and captured variables. It does not
 * see the entries of a WeakMap, variables of native closures, and what a table of LARGE_BYTES holds
 * after its first walk. Explored code must not keep state there: two states would be taken for one.
 *
 * Called by: LearnedThread after each new step, if it merges states, through ExploredWorld.
 */

import { Frame } from './fiber.js';
import { SharedMemory, Unwatched } from './shared-memory.js';
import type { ClosureOrigin } from './runtime.js';

const Generator = Object.getPrototypeOf(
  function* () {
    /* Only its prototype is wanted. */
  }.prototype,
) as object;

/** What follows in the stream of numbers that is hashed, so that `[1]` and `{ 0: 1 }` differ. */
const Mark = {
  SEEN: 1,
  ARRAY: 2,
  OBJECT: 3,
  FUNCTION: 4,
  MAP: 5,
  VIEW: 6,
  MEMORY: 7,
  END: 8,
  NUMBER: 9,
  TEXT: 10,
  NULL: 11,
  TRUE: 12,
  FALSE: 13,
  UNDEFINED: 14,
  OTHER: 15,
  INTEGER: 16,
} as const;

/** A view of at least this many bytes is a table that never changes: it is read once. */
const LARGE_BYTES = 1 << 14;

export class HeapFingerprint {
  readonly #originOf: (fn: object) => ClosureOrigin | undefined;
  /** Numbers of the texts seen so far. They are hashed in place of the texts. */
  readonly #texts = new Map<string, number>();
  /** Hashes of large views. */
  readonly #tables = new WeakMap<object, number>();
  readonly #float = new Float64Array(1);
  readonly #floatWords = new Int32Array(this.#float.buffer);
  /** Of the current walk: the number of each object. */
  #seen = new Map<object, number>();
  #low = 0;
  #high = 0;

  constructor(originOf: (fn: object) => ClosureOrigin | undefined) {
    this.#originOf = originOf;
  }

  /** The fingerprint of everything that can be reached from `roots`. */
  take(roots: readonly unknown[]): string {
    this.#seen = new Map();
    this.#low = 0x9e37_79b9;
    this.#high = 0x85eb_ca6b;
    for (const root of roots) this.#walk(root);
    this.#seen = new Map();
    return `${this.#low >>> 0}.${this.#high >>> 0}`;
  }

  /** Mixes a word into the hash. The constants are those of common integer hashes. */
  #put(word: number): void {
    this.#low = Math.imul(this.#low ^ word, 0x9e37_79b1) + (this.#high | 0);
    this.#low ^= this.#low >>> 15;
    this.#high = Math.imul(this.#high + word, 0x85eb_ca77) ^ (this.#low << 7);
    this.#high ^= this.#high >>> 13;
  }

  #text(text: string): void {
    let number = this.#texts.get(text);
    if (number === undefined) this.#texts.set(text, (number = this.#texts.size));
    this.#put(number);
  }

  #walk(value: unknown): void {
    switch (typeof value) {
      case 'number':
        if ((value | 0) === value && !Object.is(value, -0)) {
          this.#pair(Mark.INTEGER, value);
          break;
        }
        this.#float[0] = value;
        this.#put(Mark.NUMBER);
        this.#put(this.#floatWords[0] as number);
        this.#put(this.#floatWords[1] as number);
        break;
      case 'object':
        if (value === null) this.#put(Mark.NULL);
        else this.#object(value);
        break;
      case 'function':
        this.#object(value);
        break;
      case 'string':
        this.#put(Mark.TEXT);
        this.#text(value);
        break;
      case 'boolean':
        this.#put(value ? Mark.TRUE : Mark.FALSE);
        break;
      case 'undefined':
        this.#put(Mark.UNDEFINED);
        break;
      default:
        this.#put(Mark.OTHER);
        this.#text(`${typeof value} ${String(value)}`);
    }
  }

  #object(value: object): void {
    const seen = this.#seen.get(value);
    if (seen !== undefined) {
      this.#put(Mark.SEEN);
      this.#put(seen);
      return;
    }
    this.#seen.set(value, this.#seen.size);
    if (value instanceof SharedMemory) this.#pair(Mark.MEMORY, value.id);
    else if (typeof value === 'function') this.#function(value);
    else if (value instanceof Frame) this.#frame(value);
    else if (Array.isArray(value)) {
      this.#pair(Mark.ARRAY, value.length);
      for (const item of value as unknown[]) this.#walk(item);
    } else if (ArrayBuffer.isView(value)) this.#view(value);
    else if (value instanceof Map || value instanceof Set) {
      this.#pair(Mark.MAP, value.size);
      for (const item of value) this.#walk(item);
    } else if (value instanceof Error) {
      // Not the stack: it depends on how the search came here.
      this.#text(value.name + value.message);
      // A generator has no readable fields. What it holds is in its frame.
    } else if (!Object.prototype.isPrototypeOf.call(Generator, value)) this.#fields(value);
  }

  #frame({ fn, at, locals, captured, t }: Frame): void {
    this.#text(fn);
    this.#text(at);
    for (const list of [locals?.() ?? [], captured(), t]) for (const value of list) this.#walk(value);
    this.#put(Mark.END);
  }

  #fields(value: object): void {
    this.#put(Mark.OBJECT);
    this.#text((Object.getPrototypeOf(value) as { constructor?: { name?: string } } | null)?.constructor?.name ?? '');
    // Object.keys would allocate a list. No object here has inherited fields.
    for (const key in value) {
      this.#text(key);
      this.#walk((value as Record<string, unknown>)[key]);
    }
    this.#put(Mark.END);
  }

  #function(fn: object & { readonly name: string }): void {
    this.#put(Mark.FUNCTION);
    const origin = this.#originOf(fn);
    this.#text(origin?.site ?? fn.name);
    if (origin !== undefined) for (const value of origin.captured()) this.#walk(value);
    for (const key of Object.keys(fn)) this.#walk((fn as unknown as Record<string, unknown>)[key]);
    this.#put(Mark.END);
  }

  #view(view: ArrayBufferView): void {
    // Statistics: no thread acts on them.
    if (view instanceof Unwatched) return;
    this.#pair(Mark.VIEW, view.byteLength);
    if (view.byteLength < LARGE_BYTES) this.#bytes(view);
    else this.#put(this.#tableHash(view));
  }

  /** Hashes whole words where the view is aligned to them, and single bytes otherwise. */
  #bytes(view: ArrayBufferView): void {
    if (view instanceof Int32Array) {
      for (let at = 0; at < view.length; at++) this.#put(view[at] as number);
      return;
    }
    const words = view.byteOffset % 4 === 0 ? view.byteLength >> 2 : 0;
    const all = new Int32Array(view.buffer, words === 0 ? 0 : view.byteOffset, words);
    for (let at = 0; at < words; at++) this.#put(all[at] as number);
    const rest = new Uint8Array(view.buffer, view.byteOffset + words * 4, view.byteLength - words * 4);
    for (let at = 0; at < rest.length; at++) this.#put(rest[at] as number);
  }

  #tableHash(view: ArrayBufferView): number {
    const known = this.#tables.get(view);
    if (known !== undefined) return known;
    const low = this.#low;
    const high = this.#high;
    this.#low = this.#high = 0;
    this.#bytes(view);
    const hash = this.#low ^ this.#high;
    this.#low = low;
    this.#high = high;
    this.#tables.set(view, hash);
    return hash;
  }

  #pair(mark: number, value: number): void {
    this.#put(mark);
    this.#put(value);
  }
}
