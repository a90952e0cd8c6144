/**
 * Edits of the core's functions that make an instruction fetch outside of the guest's RAM read what
 * a load reads there: a device's bytes, or all ones where nothing answers.
 *
 * The core takes the bytes of instructions from RAM + physical address without a check. An address
 * above the RAM would run the core's own memory. Edited, each such load first compares the address
 * with the RAM above the screen memory, where almost all code is. For any other address it calls a
 * function of ours that takes what is not RAM through `read8`, the core's function for data. The
 * comparison is in place, because the interpreter fetches each byte of each instruction.
 *
 * Code outside of RAM is interpreted, never translated: the compiler would read the device for
 * itself, at any time, and keep what it read.
 *
 * Called by: wasm-edit.ts. Each edit throws CORE_MISMATCH if the module is not as expected.
 */

import { UpcallError } from '../../io-request/upcall-error.js';
import { AddedOffset, CoreOffset, SCREEN_END } from './core-layout.js';
import {
  ADD,
  AND,
  AT_LEAST,
  BELOW,
  call,
  constant,
  either,
  EQUAL,
  EXTEND_8,
  LOAD,
  LOAD_BYTE_SIGNED,
  LOAD_BYTE_UNSIGNED,
  loadByte,
  loadWord,
  local,
  LOCAL_GET,
  LOCAL_SET,
  NOP,
  OR,
  padded,
  RETURN,
  SUBTRACT,
  when,
  XOR,
} from './wasm-code.js';
import type { WasmFunctions } from './wasm-functions.js';
import { encodeU32 } from './wasm-sections.js';

/** A PC's window for graphics memory, which is never RAM to the core. 128 KiB, aligned. */
const WINDOW_START = 0xa_0000;
const WINDOW_MASK = ~0x1_ffff;
/** Offset of the core's own page translation of EIP: a mask by which EIP is XORed. */
const FETCH_MASK = 624;
/** In a pattern: any byte. */
const ANY = undefined;
/**
 * Places that fetch through the core's translation of EIP. The main loop fetches an opcode's first
 * byte in another way.
 */
const FETCHES = 27;

export function editFetches(functions: WasmFunctions, mismatch: (what: string) => UpcallError): void {
  const [ram, address] = [local(0), local(1)];
  const outside = (place: readonly number[]): number[] => [
    ...[...place, ...loadWord(AddedOffset.ramEnd), AT_LEAST],
    ...[...place, ...constant(WINDOW_MASK), AND, ...constant(WINDOW_START), EQUAL],
    OR,
  ];
  const load = functions.index('read8');
  // Of the address of the RAM and a guest physical one, as are all functions below: the byte there.
  const fetch = functions.append(2, 1, [
    ...when(outside(address), [...address, ...call(load), RETURN]),
    ...[...ram, ...address, ADD, LOAD_BYTE_UNSIGNED, 0, 0],
  ]);
  const signed = functions.append(2, 1, [...ram, ...address, ...call(fetch), EXTEND_8]);

  const type = functions.typeOf(2, 1);
  // The last four bytes, an addition and a load, take two operands: the RAM and the address, which
  // `place` computes once more.
  const checked = (place: readonly number[], code: Uint8Array): number[] => {
    const slow = code[code.length - 3] === LOAD_BYTE_SIGNED ? signed : fetch;
    const isInRam = [...place, ...constant(SCREEN_END), SUBTRACT, ...loadWord(AddedOffset.ramAboveScreen), BELOW];
    return [...code.subarray(0, -4), ...isInRam, ...either(type, [...code.subarray(-4)], call(slow))];
  };
  const mask = [LOAD, 2, ...encodeU32(FETCH_MASK), LOCAL_GET, ANY, XOR];
  const physical = (code: Uint8Array): number[] => [...constant(0), ...code.subarray(0, mask.length)];
  let count = 0;
  for (const index of functions.indices)
    for (const width of [LOAD_BYTE_SIGNED, LOAD_BYTE_UNSIGNED])
      count += functions.replaceEach(index, [...mask, ADD, width, 0, 0], (code) => checked(physical(code), code));
  if (count !== FETCHES) throw mismatch(`it fetches instructions in ${count} places, not ${FETCHES}`);

  const mainLoop = functions.index('main_loop');
  const ramPointer = [LOAD, 2, ...padded(CoreOffset.ramPointer)];
  const opcode = [...ramPointer, LOCAL_GET, ANY, ADD, LOAD_BYTE_UNSIGNED, 0, 0, LOCAL_SET];
  const fetched = functions.replaceEach(mainLoop, opcode, (code) => [
    ...checked([...code.subarray(ramPointer.length, ramPointer.length + 2)], code.subarray(0, -1)),
    LOCAL_SET,
  ]);
  // After a run of instructions, the main loop tests whether it may compile. Local 13 is the
  // physical address of the first one.
  const mayNot = functions.append(1, 1, [...loadByte(CoreOffset.compilerDisabled), ...outside(local(0)), OR]);
  const disabled = [...constant(0), LOAD_BYTE_UNSIGNED, 0, ...padded(CoreOffset.compilerDisabled)];
  const gates = functions.replaceEach(mainLoop, disabled, (found) =>
    fill([...local(13), ...call(mayNot)], found.length),
  );
  if (fetched !== 1 || gates !== 1) throw mismatch('its main loop is another one');
}

/** `code` with NOPs behind it, as long as the code that it replaces. */
function fill(code: readonly number[], length: number): number[] {
  return [...code, ...Array.from({ length: length - code.length }, () => NOP)];
}
