/**
 * Edits of the core's page walk.
 *
 * - With PAE paging, bit 7 of a page-directory entry makes it a 2-MiB page whatever CR4.PSE says.
 *   The core asks for CR4.PSE in both kinds of paging. Edited, it asks for PSE or PAE, one bit more
 *   of the same constant.
 * - Without PAE, bits 3 and 4 of CR3 (PWT, PCD) are not of the page directory's address. The core
 *   takes them for part of it. Edited, its page walk masks them.
 * - The core ignores the upper half of a PAE entry, so that an address above 4 GiB was one of low
 *   RAM. Edited, the CPU has 32 physical address bits: it says so by CPUID leaf 80000008h, and bits
 *   63 to 32 of each entry are reserved, as are bits 20 to 13 of a 2-MiB page and, because PSE-36
 *   is not there, bits 21 to 13 of a 4-MiB one. A reserved bit is a page fault with bit 3 of its
 *   error code. Bits that a CPU without PAT reserves (7 of a page table's entry, 12 of a large
 *   page) stay ignored.
 *
 * Source: Intel SDM, volume 3A, sections 4.3 to 4.7; volume 2, "CPUID".
 *
 * Called by: wasm-edit.ts. Each edit throws CORE_MISMATCH if the module is not as expected.
 */

import type { UpcallError } from '../../io-request/upcall-error.js';
import { AddedOffset, CoreOffset } from './core-layout.js';
import {
  ADD,
  AND,
  bodyOf,
  call,
  constant,
  EQUAL,
  IS_ZERO,
  loadAt,
  loadWord,
  local,
  LOCAL_SET,
  NOT_EQUAL,
  OR,
  RETURN,
  SHIFT_RIGHT,
  storeWord,
  when,
} from './wasm-code.js';
import type { WasmFunctions } from './wasm-functions.js';

type Code = readonly number[];
type Mismatch = (what: string) => UpcallError;

const PSE = 0x10;
const PAE = 0x20;
const PG = 1 << 31;
const CR3 = 3;
const CR4 = 4;
/** The local variable of the core's page walk that holds CR4. */
const CR4_LOCAL = 8;
// Of CR3, or of an entry of a table.
const PRESENT = 1;
const LARGE = 0x80;
const TABLE = ~0xfff;
const RESERVED_2M = 0x1f_e000;
const RESERVED_4M = 0x3f_e000;
const RESERVED_BIT_ERROR = 8;
const SET_LOCAL_0 = [LOCAL_SET, 0];

/** CPUID's leaves for the greatest extended leaf, and for the address bits: 32 of both kinds. */
const GREATEST_LEAF = 0x8000_0000 | 0;
const ADDRESS_LEAF = 0x8000_0008 | 0;
const ADDRESS_BITS = 0x2020;

const CR3_LOAD = loadWord(CoreOffset.cr0 + 4 * CR3);
/** The address of the page directory without PAE. */
const PAGE_DIRECTORY = [...CR3_LOAD, ...constant(TABLE), AND];

export function editPaging(functions: WasmFunctions, mismatch: Mismatch): void {
  const test = (bits: number): number[] => [...local(CR4_LOCAL), ...constant(bits), AND, IS_ZERO];
  const walk = functions.index('do_page_walk');
  const count = functions.replaceEach(walk, test(PSE), () => test(PSE | PAE));
  if (count !== 1) throw mismatch(`its page walk tests CR4.PSE ${count} times, not once`);
  const bases = functions.replaceEach(walk, CR3_LOAD, () => PAGE_DIRECTORY);
  if (bases !== 1) throw mismatch(`its page walk reads CR3 ${bases} times, not once`);
  editReservedBits(functions, mismatch);
  editCpuid(functions);
}

function editReservedBits(functions: WasmFunctions, mismatch: Mismatch): void {
  const raise = functions.index('trigger_pagefault');
  const takeBit = functions.append(0, 1, [
    ...loadWord(AddedOffset.reservedBit),
    ...storeWord(AddedOffset.reservedBit, constant(0)),
  ]);
  const places = functions.replaceEach(raise, [OR, ...SET_LOCAL_0], () => [OR, ...call(takeBit), OR, ...SET_LOCAL_0]);
  if (places !== 1) throw mismatch(`it makes the error code of a page fault ${places} times, not once`);

  const walk = functions.index('do_page_walk');
  const reserved = addReservedCheck(functions);
  const original = functions.appendCopy(walk);
  const [address, isWrite, isUser, isCompiled, raises] = [local(0), local(1), local(2), local(3), local(4)];
  functions.replaceBody(
    walk,
    bodyOf([
      ...when(
        [...loadWord(CoreOffset.cr0), ...constant(PG), AND],
        when(
          [...address, ...call(reserved)],
          [
            ...when(raises, [
              ...storeWord(AddedOffset.reservedBit, constant(RESERVED_BIT_ERROR)),
              ...[...address, ...isWrite, ...isUser, ...isCompiled, ...call(raise)],
            ]),
            ...[...constant(0), RETURN],
          ],
        ),
      ),
      ...[...address, ...isWrite, ...isUser, ...isCompiled, ...raises, ...call(original)],
    ]),
  );
}

/**
 * Adds a function of a linear address: whether a present entry of its page walk has a reserved bit.
 * Returns its index.
 */
function addReservedCheck(functions: WasmFunctions): number {
  const read = functions.index('read32s');
  const no = [...constant(0), RETURN];
  const yes = [...constant(1), RETURN];
  const value = (of: Code): Code => [...of, ...call(read)];
  const upper = (of: Code): Code => value([...of, ...constant(4), ADD]);
  const has = (of: Code, bits: number): Code => [...of, ...constant(bits), AND];
  const isReserved = (of: Code, bits: number): Code => [...has(of, bits), ...constant(0), NOT_EQUAL];
  // The shifts and masks make a linear address the byte offset of its entry in a table.
  // Of a page table's entry at local 0.
  const isPage = functions.append(1, 1, [
    ...when([...has(value(local(0)), PRESENT), IS_ZERO], no),
    ...[...upper(local(0)), ...constant(0), NOT_EQUAL],
  ]);
  // Of a linear address, local 0, whose directory entry lies at local 1 and is local 2.
  const isDirectory = functions.append(3, 1, [
    ...when([...has(local(2), PRESENT), IS_ZERO], no),
    ...when(upper(local(1)), yes),
    ...when(has(local(2), LARGE), [...isReserved(local(2), RESERVED_2M), RETURN]),
    ...[...has(local(2), TABLE), ...local(0), ...constant(9), SHIFT_RIGHT, ...constant(0xff8), AND, OR],
    ...call(isPage),
  ]);
  const withPlace = functions.append(2, 1, [...local(0), ...local(1), ...value(local(1)), ...call(isDirectory)]);
  const ofPointer = [...local(0), ...constant(27), SHIFT_RIGHT, ...constant(24), AND];
  const pointer = loadAt(ofPointer, CoreOffset.pagePointers);
  const isExtended = functions.append(1, 1, [
    ...when([...has(pointer, PRESENT), IS_ZERO], no),
    // MOV to CR3 refuses such a pointer, a task switch does not.
    ...when(loadAt(ofPointer, CoreOffset.pagePointers + 4), yes),
    ...local(0),
    ...[...has(pointer, TABLE), ...local(0), ...constant(18), SHIFT_RIGHT, ...constant(0xff8), AND, OR],
    ...call(withPlace),
  ]);
  const isLarge = functions.append(1, 1, [
    ...[...has(local(0), PRESENT | LARGE), ...constant(PRESENT | LARGE), EQUAL],
    ...[...isReserved(local(0), RESERVED_4M), AND],
  ]);
  const cr4 = loadWord(CoreOffset.cr0 + 4 * CR4);
  const entry = [...local(0), ...constant(20), SHIFT_RIGHT, ...constant(0xffc), AND];
  return functions.append(1, 1, [
    ...when(has(cr4, PAE), [...local(0), ...call(isExtended), RETURN]),
    ...when([...has(cr4, PSE), IS_ZERO], no),
    ...[...value([...PAGE_DIRECTORY, ...entry, ADD]), ...call(isLarge)],
  ]);
}

function editCpuid(functions: WasmFunctions): void {
  const register = (index: number): number => CoreOffset.generalRegisters + 4 * index;
  const answer = (leaf: number, eax: number): Code =>
    when(
      [...loadWord(register(0)), ...constant(leaf), EQUAL],
      [...[eax, 0, 0, 0].flatMap((value, index) => storeWord(register(index), constant(value))), RETURN],
    );
  functions.insertAtStart(functions.index('instr_0FA2'), [
    ...answer(GREATEST_LEAF, ADDRESS_LEAF),
    ...answer(ADDRESS_LEAF, ADDRESS_BITS),
  ]);
}
