/**
 * WasmFunctions: the functions of a WebAssembly module, to be edited by name.
 *
 * Called by: the edits of the core (wasm-edit.ts and the *-edits.ts).
 *
 * v86.wasm carries the names that its Rust compiler gave to its functions, in the custom section
 * "name". An edit names the function that it changes, inserts code at its start or replaces its
 * body, and may append functions of its own. Appended functions come last, so no index changes.
 *
 * Source: WebAssembly Core Specification 1.0, chapter 5 and appendix 7.4.1.
 */

import { bodyOf } from './wasm-code.js';
import { WasmNames } from './wasm-names.js';
import {
  encodeU32,
  ExternalKind,
  exportsOf,
  findPattern,
  findSection,
  importsOf,
  replaceInSection,
  SectionId,
  WasmReader,
  type Section,
} from './wasm-sections.js';

/** The code of the type i32. */
const I32 = 0x7f;
const MAX_U32_BYTES = 5;

export class WasmFunctions {
  readonly #bytes: Uint8Array;
  readonly #mismatch: (what: string) => Error;
  /** The names of the imported functions, which have the first indices. */
  readonly #imported: readonly string[];
  readonly #names: WasmNames;
  /** The exported functions' indices by their names. */
  readonly #exported: ReadonlyMap<string, number>;
  /** The type indices of the module's own functions, in the order of the functions' indices. */
  readonly #types: number[];
  /** Each body with its declaration of locals, without its size. */
  readonly #bodies: Uint8Array[];
  /** Exports that were added. */
  readonly #exports: { name: string; index: number }[] = [];

  /** `mismatch` makes the error to throw if the module lacks what an edit names. */
  constructor(bytes: Uint8Array, mismatch: (what: string) => Error) {
    this.#bytes = bytes;
    this.#mismatch = mismatch;
    const imports = importsOf(bytes, this.#section(SectionId.IMPORT));
    this.#imported = imports.filter(({ kind }) => kind === ExternalKind.FUNCTION).map(({ name }) => name);
    this.#types = readTypes(bytes, this.#section(SectionId.FUNCTION));
    this.#bodies = readBodies(bytes, this.#section(SectionId.CODE));
    this.#names = new WasmNames(bytes);
    const exports = exportsOf(bytes, this.#section(SectionId.EXPORT));
    this.#exported = new Map(
      exports.filter(({ kind }) => kind === ExternalKind.FUNCTION).map(({ name, index }) => [name, index]),
    );
  }

  /** The index of the function exported as `name`, or of the one whose Rust path ends with it. */
  index(name: string): number {
    const exported = this.#exported.get(name);
    if (exported !== undefined) return exported;
    const found = this.#names.find(name);
    const [first] = found;
    if (first === undefined || found.length !== 1) throw this.#mismatch(`it has ${found.length} functions ${name}`);
    return first;
  }

  /** The index of the imported function `name`. */
  imported(name: string): number {
    const index = this.#imported.indexOf(name);
    if (index < 0) throw this.#mismatch(`it does not import ${name}`);
    return index;
  }

  get #importCount(): number {
    return this.#imported.length;
  }

  /** A function's declaration of locals, its code and END. Throws for an imported function. */
  body(index: number): Uint8Array {
    const body = this.#bodies[index - this.#importCount];
    if (body === undefined) throw this.#mismatch(`function ${index} is not its own`);
    return body;
  }

  /** `body` is as `body()` returns it. */
  replaceBody(index: number, body: Uint8Array): void {
    this.body(index);
    this.#bodies[index - this.#importCount] = body;
  }

  /** `code` runs before the function's own. Its blocks are closed, and it leaves no operand. */
  insertAtStart(index: number, code: readonly number[]): void {
    const body = this.body(index);
    const start = codeStart(body);
    this.replaceBody(index, join([body.subarray(0, start), code, body.subarray(start)]));
  }

  /**
   * Replaces each occurrence of `pattern` by what `replace` makes of its bytes. `undefined` in the
   * pattern matches any byte. Returns the number of occurrences.
   */
  replaceEach(
    index: number,
    pattern: readonly (number | undefined)[],
    replace: (found: Uint8Array) => readonly number[],
  ): number {
    const body = this.body(index);
    // Most functions do not have it.
    if (findPattern(body, pattern, 0, body.length) < 0) return 0;
    const parts: ArrayLike<number>[] = [];
    let count = 0;
    let copied = 0;
    const find = (from: number): number => findPattern(body, pattern, from, body.length);
    for (let at = find(codeStart(body)); at >= 0; at = find(copied)) {
      parts.push(body.subarray(copied, at), replace(body.subarray(at, at + pattern.length)));
      copied = at + pattern.length;
      count++;
    }
    if (count > 0) this.replaceBody(index, join([...parts, body.subarray(copied)]));
    return count;
  }

  /** Whether a function's code has `pattern`. */
  contains(index: number, pattern: readonly number[]): boolean {
    const body = this.body(index);
    return findPattern(body, pattern, 0, body.length) >= 0;
  }

  /** The indices of the module's own functions. */
  get indices(): number[] {
    return this.#bodies.map((_, i) => i + this.#importCount);
  }

  /**
   * Appends a function of `parameters` and `results` 32-bit integers. Returns its index. `code` has
   * no locals and no END.
   */
  append(parameters: number, results: number, code: readonly number[]): number {
    const type = this.typeOf(parameters, results);
    return this.#append(type, bodyOf(code));
  }

  /** Appends a function with the type and body of another one, which may then get a new body. */
  appendCopy(index: number): number {
    const body = this.body(index);
    return this.#append(this.#types[index - this.#importCount] as number, body);
  }

  #append(type: number, body: Uint8Array): number {
    this.#types.push(type);
    this.#bodies.push(body);
    return this.#importCount + this.#bodies.length - 1;
  }

  /** The index of the type of `parameters` and `results` 32-bit integers, which the module has. */
  typeOf(parameters: number, results: number): number {
    const section = this.#section(SectionId.TYPE);
    const reader = new WasmReader(this.#bytes, section.content);
    const count = reader.u32();
    const integers = (length: number): string => Array.from({ length }, () => I32).join();
    for (let type = 0; type < count; type++) {
      reader.byte();
      const [takes, gives] = [0, 1].map(() => Array.from({ length: reader.u32() }, () => reader.byte()).join());
      if (takes === integers(parameters) && gives === integers(results)) return type;
    }
    throw this.#mismatch(`it has no type of ${parameters} parameters and ${results} results`);
  }

  exportAs(name: string, index: number): void {
    this.#exports.push({ name, index });
  }

  toBytes(): Uint8Array<ArrayBuffer> {
    // From the last section to the first, so that the places of the others stay as they were read.
    let bytes = this.#replaceContent(this.#bytes, SectionId.CODE, [encodeU32(this.#bodies.length), this.#code()]);
    const exports = this.#section(SectionId.EXPORT);
    const reader = new WasmReader(this.#bytes, exports.content);
    const count = reader.u32();
    bytes = this.#replaceContent(bytes, SectionId.EXPORT, [
      encodeU32(count + this.#exports.length),
      this.#bytes.subarray(reader.offset, exports.end),
      ...this.#exports.map(({ name, index }) => [
        name.length,
        ...Array.from(name, (character) => character.charCodeAt(0)),
        ExternalKind.FUNCTION,
        ...encodeU32(index),
      ]),
    ]);
    return this.#replaceContent(bytes, SectionId.FUNCTION, [
      encodeU32(this.#types.length),
      ...this.#types.map((type) => encodeU32(type)),
    ]);
  }

  /** All bodies, each after its size. */
  #code(): Uint8Array {
    const code = new Uint8Array(this.#bodies.reduce((length, body) => length + MAX_U32_BYTES + body.length, 0));
    let end = 0;
    for (const body of this.#bodies) {
      let size = body.length;
      for (; size > 0x7f; size >>>= 7) code[end++] = (size & 0x7f) | 0x80;
      code[end++] = size;
      code.set(body, end);
      end += body.length;
    }
    return code.subarray(0, end);
  }

  #replaceContent(bytes: Uint8Array, id: number, parts: readonly ArrayLike<number>[]): Uint8Array<ArrayBuffer> {
    const section = findSection(bytes, id) as Section;
    return replaceInSection(bytes, section, section.content, section.end, ...parts);
  }

  #section(id: number): Section {
    const section = findSection(this.#bytes, id);
    if (section === undefined) throw this.#mismatch(`it has no section ${id}`);
    return section;
  }
}

function join(parts: readonly ArrayLike<number>[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

/** The offset of a body's first instruction, after its groups of locals. */
function codeStart(body: Uint8Array): number {
  const reader = new WasmReader(body, 0);
  for (let groups = reader.u32(); groups > 0; groups--) {
    reader.u32();
    reader.byte();
  }
  return reader.offset;
}

function readTypes(bytes: Uint8Array, section: Section): number[] {
  const reader = new WasmReader(bytes, section.content);
  const types: number[] = [];
  for (let left = reader.u32(); left > 0 && reader.offset < section.end; left--) types.push(reader.u32());
  return types;
}

function readBodies(bytes: Uint8Array, section: Section): Uint8Array[] {
  const reader = new WasmReader(bytes, section.content);
  const bodies: Uint8Array[] = [];
  for (let left = reader.u32(); left > 0 && reader.offset < section.end; left--) {
    const length = reader.u32();
    bodies.push(bytes.subarray(reader.offset, reader.offset + length));
    reader.offset += length;
  }
  return bodies;
}
