/**
 * WasmNames: the names that v86.wasm's Rust compiler gave to its functions, from the custom section
 * "name".
 *
 * Called by: WasmFunctions.
 *
 * Source: WebAssembly Core Specification 1.0, appendix 7.4.1; Rust's symbol mangling v0 (RFC 2603),
 * in which each part of a path has its length before it.
 */

import { SectionId, WasmReader, type Section } from './wasm-sections.js';

/** ID of the subsection with the functions' names. */
const FUNCTION_NAMES = 1;
/** Bytes of the module's magic number and version. */
const PREAMBLE_BYTES = 8;
/** Length of the keys of `#entries`: all symbols would take too long to search. */
const KEY_LENGTH = 3;

type Entry = readonly [symbol: string, index: number];

export class WasmNames {
  /** By the symbols' last characters. */
  readonly #entries = new Map<string, Entry[]>();

  /** Without names if the module has no such section. */
  constructor(bytes: Uint8Array) {
    const section = nameSection(bytes);
    if (section === undefined) return;
    const reader = new WasmReader(bytes, section.content);
    reader.name();
    while (reader.offset < section.end) {
      const id = reader.byte();
      const length = reader.u32();
      const end = reader.offset + length;
      if (id === FUNCTION_NAMES)
        for (let left = reader.u32(); left > 0 && reader.offset < end; left--) {
          const index = reader.u32();
          this.#add(reader.name(), index);
        }
      reader.offset = end;
    }
  }

  /** The indices of the functions whose path ends with `path`, e.g. `cpu::translate_address`. */
  find(path: string): number[] {
    const symbolEnd = path
      .split('::')
      .map((part) => `${part.length}${part}`)
      .join('');
    const sameEnd = this.#entries.get(keyOf(symbolEnd)) ?? [];
    return sameEnd.filter(([symbol]) => symbol.endsWith(symbolEnd)).map(([, index]) => index);
  }

  #add(symbol: string, index: number): void {
    const sameEnd = this.#entries.get(keyOf(symbol));
    if (sameEnd === undefined) this.#entries.set(keyOf(symbol), [[symbol, index]]);
    else sameEnd.push([symbol, index]);
  }
}

function keyOf(symbol: string): string {
  return symbol.slice(-KEY_LENGTH);
}

function nameSection(bytes: Uint8Array): Section | undefined {
  const reader = new WasmReader(bytes, PREAMBLE_BYTES);
  while (reader.offset < bytes.length) {
    const start = reader.offset;
    const id = reader.byte();
    const length = reader.u32();
    const content = reader.offset;
    const end = content + length;
    if (end > bytes.length) return undefined;
    if (id === SectionId.CUSTOM && reader.name() === 'name') return { id, start, content, end };
    reader.offset = end;
  }
  return undefined;
}
