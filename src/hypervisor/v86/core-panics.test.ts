/**
 * All places where the core's CPU can panic, searched in the module and compared with
 * panic-sites.ts.
 */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { coreFile } from './core-image.js';
import { EXCEPTIONS, panicMeaning } from './panic-sites.js';
import { call } from './wasm-code.js';
import { WasmFunctions } from './wasm-functions.js';
import { mismatch } from './wasm-edit.js';
import { findSection, WasmReader } from './wasm-sections.js';

const DATA_SECTION = 11;
const I32_CONST = 0x41;
/** The linker writes a function's index in five bytes. */
const padded = (index: number): number[] => {
  const [opcode, ...bytes] = call(index);
  while (bytes.length < 5) {
    bytes.push((bytes.pop() as number) | 0x80, 0);
  }
  return [opcode as number, ...bytes];
};

/** The module's constant data as one function of an address. */
function dataOf(bytes: Uint8Array): (address: number, count: number) => DataView | undefined {
  const section = findSection(bytes, DATA_SECTION);
  assert.ok(section !== undefined);
  const reader = new WasmReader(bytes, section.content);
  const segments = Array.from({ length: reader.u32() }, () => {
    assert.deepEqual([reader.u32(), reader.byte()], [0, I32_CONST]);
    const start = reader.u32();
    reader.byte();
    const length = reader.u32();
    const content = bytes.subarray(reader.offset, reader.offset + length);
    reader.offset += length;
    return { start, content };
  });
  return (address, count) => {
    const found = segments.find(({ start, content }) => address >= start && address + count <= start + content.length);
    if (found === undefined) return undefined;
    return new DataView(found.content.buffer, found.content.byteOffset + address - found.start, count);
  };
}

/** `file:line` of each call of `panics` with a constant place. */
function placesOf(bytes: Uint8Array, panics: readonly string[]): Set<string> {
  const functions = new WasmFunctions(bytes, mismatch);
  const data = dataOf(bytes);
  const places = new Set<string>();
  for (const panic of panics) {
    const pattern = padded(functions.index(panic));
    for (const index of functions.indices) {
      const body = functions.body(index);
      for (let at = body.indexOf(pattern[0] as number); at >= 0; at = body.indexOf(pattern[0] as number, at + 1)) {
        if (!pattern.every((byte, i) => body[at + i] === byte)) continue;
        // i32.const with an address in five bytes comes right before.
        if (body[at - 6] !== I32_CONST) continue;
        const place = data(new WasmReader(body, at - 5).u32(), 12);
        if (place === undefined) continue;
        const name = data(place.getUint32(0, true), place.getUint32(4, true));
        if (name === undefined) continue;
        const file = String.fromCharCode(...new Uint8Array(name.buffer, name.byteOffset, name.byteLength));
        places.add(`${file}:${place.getUint32(8, true)}`);
      }
    }
  }
  return places;
}

const CPU = 'src/rust/cpu/';
/** Places whose locks are free whenever the CPU runs, and sizes that Core checks. */
const NEVER = [
  `${CPU}apic.rs:106`,
  `${CPU}ioapic.rs:72`,
  `${CPU}pic.rs:94`,
  `${CPU}memory.rs:37`,
  `${CPU}memory.rs:60`,
];
/** A divisor and a logarithm that are not 0, and CR4.VME, which control-edits.ts refuses. */
const ALSO_NEVER = [`${CPU}cpu.rs:802`, `${CPU}cpu.rs:4265`, `${CPU}pic.rs:136`];

function meaningOf(place: string): unknown {
  const [file = '', line] = place.split(':');
  return panicMeaning(file, Number(line));
}

test('each panic of the CPU is an exception, or the core went on with a page fault', async () => {
  const bytes = await readFile(await coreFile());
  const places = [...placesOf(bytes, ['panic_fmt'])].filter((place) => place.startsWith(CPU));
  const unknown = places.filter((place) => meaningOf(place) === 'core-error' && !ALSO_NEVER.includes(place));
  assert.deepEqual(unknown, []);
  const lines = places.filter((place) => typeof meaningOf(place) === 'object').map((place) => place.split(':')[1]);
  assert.deepEqual(lines.sort(), [...EXCEPTIONS.keys()].map(String).sort());
});

test('each result of memory that the CPU takes for granted is a page fault', async () => {
  const bytes = await readFile(await coreFile());
  const places = [...placesOf(bytes, ['result::unwrap_failed'])].filter((place) => place.startsWith(CPU));
  const unknown = places.filter((place) => meaningOf(place) !== 'page-fault-raised' && !NEVER.includes(place));
  assert.deepEqual(unknown, []);
  assert.ok(places.length > 150);
});
