/**
 * Edits of the core's functions that make an instruction fetch outside of the guest's RAM read what
 * a load reads there: a device's bytes, or all ones where nothing answers.
 *
 * The core takes the bytes of instructions from RAM + physical address without a check. An address
 * above the RAM would run the core's own memory. Edited, each such load calls a function of ours
 * that takes RAM at once and everything else through `read8`, the core's function for data.
 *
 * Code outside of RAM is interpreted, never translated: the compiler would read the device for
 * itself, at any time, and keep what it read.
 */

import { UpcallError } from '../../io-request/upcall-error.js';
import { AddedOffset, CoreOffset } from './core-layout.js';
import {
  ADD,
  AND,
  AT_LEAST,
  call,
  constant,
  EQUAL,
  EXTEND_8,
  LOAD,
  LOAD_BYTE_SIGNED,
  LOAD_BYTE_UNSIGNED,
  loadByte,
  loadWord,
  local,
  NOP,
  OR,
  padded,
  RETURN,
  when,
  XOR,
} from './wasm-code.js';
import type { WasmFunctions } from './wasm-functions.js';
import { encodeU32 } from './wasm-sections.js';

/** A PC's window for graphics memory, which is never RAM to the core. 128 KiB, aligned. */
const WINDOW_START = 0xa_0000;
const WINDOW_MASK = ~0x1_ffff;
/** The core's own page translation of EIP, as an XOR mask. */
const FETCH_MASK = 624;
const ANY = undefined;
/** Fetches in all functions but the main loop, and in the main loop: an opcode's first byte. */
const FETCHES = 27;

export function editFetches(functions: WasmFunctions, mismatch: (what: string) => UpcallError): void {
  const [ram, address] = [local(0), local(1)];
  const outside = (place: readonly number[]): number[] => [
    ...[...place, ...loadWord(AddedOffset.ramEnd), AT_LEAST],
    ...[...place, ...constant(WINDOW_MASK), AND, ...constant(WINDOW_START), EQUAL],
    OR,
  ];
  const load = functions.index('read8');
  const fetch = functions.append(2, 1, [
    ...when(outside(address), [...address, ...call(load), RETURN]),
    ...[...ram, ...address, ADD, LOAD_BYTE_UNSIGNED, 0, 0],
  ]);
  const signed = functions.append(2, 1, [...ram, ...address, ...call(fetch), EXTEND_8]);

  // The last four bytes, an addition and a load, become a call of our function and a NOP.
  const replaced = (found: Uint8Array): number[] => {
    const index = found[found.length - 3] === LOAD_BYTE_SIGNED ? signed : fetch;
    return [...found.subarray(0, -4), ...fill(call(index), 4)];
  };
  const mask = [LOAD, 2, ...encodeU32(FETCH_MASK), 0x20, ANY, XOR];
  let count = 0;
  for (const index of functions.indices)
    for (const width of [LOAD_BYTE_SIGNED, LOAD_BYTE_UNSIGNED])
      count += functions.replaceEach(index, [...mask, ADD, width, 0, 0], replaced);
  if (count !== FETCHES) throw mismatch(`it fetches instructions in ${count} places, not ${FETCHES}`);

  const mainLoop = functions.index('main_loop');
  const opcode = [LOAD, 2, ...padded(CoreOffset.ramPointer), 0x20, ANY, ADD, LOAD_BYTE_UNSIGNED, 0, 0, 0x21];
  const fetched = functions.replaceEach(mainLoop, opcode, (found) => [
    ...replaced(found.subarray(0, -1)),
    found[found.length - 1] as number,
  ]);
  // After a run of instructions, the main loop looks whether it may compile; local 13 is the
  // physical address of the first one.
  const mayNot = functions.append(1, 1, [...loadByte(CoreOffset.compilerDisabled), ...outside(local(0)), OR]);
  const disabled = [0x41, 0, LOAD_BYTE_UNSIGNED, 0, ...padded(CoreOffset.compilerDisabled)];
  const gates = functions.replaceEach(mainLoop, disabled, (found) =>
    fill([...local(13), ...call(mayNot)], found.length),
  );
  if (fetched !== 1 || gates !== 1) throw mismatch('its main loop is another one');
}

/** `code` with NOPs behind it. A call keeps its operands that way. */
function fill(code: readonly number[], length: number): number[] {
  return [...code, ...Array.from({ length: length - code.length }, () => NOP)];
}
