/**
 * Reading and rewriting the binary form of a WebAssembly module, as far as the edits of the core
 * need it.
 *
 * Called by: wasm-edit.ts, wasm-functions.ts and wasm-names.ts; wasm-code.ts and some edits, to
 * encode numbers.
 *
 * Source: WebAssembly Core Specification 1.0, chapter 5, and the threads proposal for shared
 * limits.
 */

export const SectionId = {
  CUSTOM: 0,
  TYPE: 1,
  IMPORT: 2,
  FUNCTION: 3,
  MEMORY: 5,
  GLOBAL: 6,
  EXPORT: 7,
  CODE: 10,
} as const;
export const ExternalKind = { FUNCTION: 0, TABLE: 1, MEMORY: 2, GLOBAL: 3 } as const;

/** Bytes of the magic number and the version. */
const PREAMBLE_BYTES = 8;
const HAS_MAXIMUM = 1;
/** The names of a module of LLVM's are ASCII. */
const LATIN1 = new TextDecoder('latin1');

export interface Section {
  readonly id: number;
  /** Offset of the section's id. */
  readonly start: number;
  /** Offset of its content. */
  readonly content: number;
  /** One past its last byte. */
  readonly end: number;
}

export interface ImportEntry {
  readonly name: string;
  readonly kind: number;
  /** Offset of the import's description, after its kind: a type index, or limits. */
  readonly description: number;
  /** One past its last byte. */
  readonly end: number;
}

export interface ExportEntry {
  readonly name: string;
  readonly kind: number;
  readonly index: number;
}

/**
 * Reads forward through the bytes of a module. Bytes past the end read as 0: a malformed module is
 * found by its sections.
 */
export class WasmReader {
  readonly #bytes: Uint8Array;
  offset: number;

  constructor(bytes: Uint8Array, offset: number) {
    this.#bytes = bytes;
    this.offset = offset;
  }

  byte(): number {
    return this.#bytes[this.offset++] ?? 0;
  }

  /** An unsigned LEB128 number of at most 32 bits. */
  u32(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value |= (byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) break;
    }
    return value >>> 0;
  }

  name(): string {
    const length = this.u32();
    const start = this.offset;
    this.offset += length;
    return LATIN1.decode(this.#bytes.subarray(start, this.offset));
  }

  /** Limits of a memory or table; the flags' bit 0 says that a maximum follows. */
  limits(): { readonly flags: number; readonly min: number } {
    const flags = this.byte();
    const min = this.u32();
    if ((flags & HAS_MAXIMUM) !== 0) this.u32();
    return { flags, min };
  }
}

export function encodeU32(value: number): number[] {
  const bytes: number[] = [];
  let rest = value >>> 0;
  do {
    const low = rest & 0x7f;
    rest >>>= 7;
    bytes.push(rest === 0 ? low : low | 0x80);
  } while (rest !== 0);
  return bytes;
}

/** Bytes that are frequent in code that LLVM makes: more than a percent of the core each. */
const FREQUENT = new Set([0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x0b, 0x10, 0x20, 0x22, 0x28, 0x41, 0x6a, 0x80]);

/**
 * The first place of `pattern` in [start, end), or -1. `undefined` in the pattern matches any byte.
 * All code is searched several times when the core is loaded, so the JavaScript engine's own search
 * looks for a byte that is rare.
 */
export function findPattern(
  bytes: Uint8Array,
  pattern: readonly (number | undefined)[],
  start: number,
  end: number,
): number {
  const rare = pattern.findIndex((byte) => byte !== undefined && !FREQUENT.has(byte));
  const anchor = rare >= 0 ? rare : pattern.findIndex((byte) => byte !== undefined);
  const byte = pattern[anchor] as number;
  const last = end - pattern.length + anchor;
  for (let at = bytes.indexOf(byte, start + anchor); at >= 0 && at <= last; at = bytes.indexOf(byte, at + 1))
    if (isAt(bytes, at - anchor, pattern)) return at - anchor;
  return -1;
}

function isAt(bytes: Uint8Array, at: number, pattern: readonly (number | undefined)[]): boolean {
  for (let i = 0; i < pattern.length; i++) if ((pattern[i] ?? bytes[at + i]) !== bytes[at + i]) return false;
  return true;
}

/** The first section `id`, or undefined. */
export function findSection(bytes: Uint8Array, id: number): Section | undefined {
  const reader = new WasmReader(bytes, PREAMBLE_BYTES);
  while (reader.offset < bytes.length) {
    const start = reader.offset;
    const found = reader.byte();
    const length = reader.u32();
    const end = reader.offset + length;
    if (end > bytes.length) return undefined;
    if (found === id) return { id, start, content: reader.offset, end };
    reader.offset = end;
  }
  return undefined;
}

export function importsOf(bytes: Uint8Array, section: Section): ImportEntry[] {
  const reader = new WasmReader(bytes, section.content);
  const entries: ImportEntry[] = [];
  for (let left = reader.u32(); left > 0 && reader.offset < section.end; left--) {
    reader.name();
    const name = reader.name();
    const kind = reader.byte();
    const description = reader.offset;
    if (kind === ExternalKind.FUNCTION) reader.u32();
    else if (kind === ExternalKind.MEMORY) reader.limits();
    else if (kind === ExternalKind.TABLE) {
      reader.byte();
      reader.limits();
    } else reader.offset += 2;
    entries.push({ name, kind, description, end: reader.offset });
  }
  return entries;
}

export function exportsOf(bytes: Uint8Array, section: Section): ExportEntry[] {
  const reader = new WasmReader(bytes, section.content);
  const entries: ExportEntry[] = [];
  for (let left = reader.u32(); left > 0 && reader.offset < section.end; left--)
    entries.push({ name: reader.name(), kind: reader.byte(), index: reader.u32() });
  return entries;
}

/**
 * The range of the body of the module's own function number `index`, not counting imported
 * functions, or undefined.
 */
export function functionBody(
  bytes: Uint8Array,
  section: Section,
  index: number,
): readonly [number, number] | undefined {
  const reader = new WasmReader(bytes, section.content);
  const count = reader.u32();
  for (let i = 0; i < count && reader.offset < section.end; i++) {
    const length = reader.u32();
    if (i === index) return [reader.offset, reader.offset + length];
    reader.offset += length;
  }
  return undefined;
}

/** The module with `section`'s bytes [start, end) replaced, and its length field to match. */
export function replaceInSection(
  bytes: Uint8Array,
  section: Section,
  start: number,
  end: number,
  ...replacement: readonly ArrayLike<number>[]
): Uint8Array<ArrayBuffer> {
  const added = replacement.reduce((length, part) => length + part.length, 0);
  const head = [section.id, ...encodeU32(section.end - section.content - (end - start) + added)];
  const parts: ArrayLike<number>[] = [
    bytes.subarray(0, section.start),
    head,
    bytes.subarray(section.content, start),
    ...replacement,
    bytes.subarray(end),
  ];
  const result = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    result.set(part, offset);
    offset += part.length;
  }
  return result;
}
