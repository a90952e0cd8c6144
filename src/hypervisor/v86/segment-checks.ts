/**
 * SegmentChecks: functions, added to the core, that check a segment's descriptor before an
 * instruction changes anything, and raise the exception that is due.
 *
 * Called by: transfer-edits.ts.
 *
 * The core checks such a descriptor while it loads it, in the middle of a task switch or a far
 * return, and then goes on whatever came out. Each check here returns 1 if it has raised an
 * exception: the caller must then return at once.
 *
 * Source: Intel SDM volume 2, "RET", and volume 3A, table 7-1.
 */

import { AddedOffset, CoreOffset } from './core-layout.js';
import { Exception } from './panic-sites.js';
import {
  ADD,
  ABOVE,
  AND,
  BELOW,
  call,
  constant,
  EQUAL,
  IS_ZERO,
  loadByte,
  loadWord,
  local,
  NOT_EQUAL,
  OR,
  RETURN,
  select,
  SHIFT_LEFT,
  SHIFT_RIGHT,
  storeWord,
  SUBTRACT,
  when,
  XOR,
} from './wasm-code.js';
import type { WasmFunctions } from './wasm-functions.js';

type Code = readonly number[];

/** An error code's bits of a selector: without its requested privilege level. */
export const SELECTOR = 0xfffc;
/** Bits of a descriptor's access byte. */
export const Access = { ACCESSED: 1, WRITABLE: 2, CONFORMING: 4, EXECUTABLE: 8, SEGMENT: 16, PRESENT: 128 } as const;
const READABLE = Access.WRITABLE;
/** The word AddedOffset.found after `find`. */
export const Found = { OK: 0, UNUSABLE: 1, RAISED: 2 } as const;
const ACCESS_BYTE = 5;
const PAGE = ~0xfff;
const IN_LOCAL_TABLE = 4;

export const RAISED: Code = [...constant(1), RETURN];
export const FINE: Code = [...constant(0), RETURN];
/** The access byte of the descriptor that was found last. */
export const access: Code = loadByte(AddedOffset.foundAccess);
/** Its descriptor privilege level. */
export const level: Code = [...access, ...constant(5), SHIFT_RIGHT, ...constant(3), AND];

/** Whether `bits` of that access byte are `wanted`. */
export function has(bits: number, wanted: number): Code {
  return [...access, ...constant(bits), AND, ...constant(wanted), EQUAL];
}

/** The requested privilege level of a selector. */
export function requested(selector: Code): Code {
  return [...selector, ...constant(3), AND];
}

/** The descriptor is no code segment that `selector` may name as CS after an outward transfer. */
export function isBadCode(selector: Code): Code {
  const code = Access.SEGMENT | Access.EXECUTABLE;
  const isInner = [...level, ...requested(selector), ABOVE];
  const isOther = [...level, ...requested(selector), NOT_EQUAL];
  return [...[...has(code, code), IS_ZERO], ...select(has(Access.CONFORMING, Access.CONFORMING), isInner, isOther), OR];
}

export const isAbsent: Code = has(Access.PRESENT, 0);

export class SegmentChecks {
  readonly #functions: WasmFunctions;
  readonly #raise: number;
  readonly #byte: number;
  readonly #find: number;
  readonly #stack: number;
  readonly #data: number;

  constructor(functions: WasmFunctions) {
    this.#functions = functions;
    this.#raise = this.#addRaise();
    this.#byte = this.#addByte();
    this.#find = this.#addFind();
    this.#stack = this.#addStack();
    this.#data = this.#addData();
  }

  // Each method below gives the code that does what it says, for a body that a caller appends.

  /** Raises the exception, at the current instruction, and returns from the check with 1. */
  raise(vector: Code, errorCode: Code): Code {
    return [...vector, ...errorCode, ...call(this.#raise), RETURN];
  }

  /** Raises the exception with the selector as its error code. */
  refuse(vector: Code, selector: Code): Code {
    return this.raise(vector, [...selector, ...constant(SELECTOR), AND]);
  }

  /** The byte at a linear address, by the CPU's own rights; 0 if a page fault was raised. */
  byte(address: Code): Code {
    return [...address, ...call(this.#byte)];
  }

  half(address: Code): Code {
    return [...this.byte(address), ...this.byte([...address, ...constant(1), ADD]), ...constant(8), SHIFT_LEFT, OR];
  }

  /**
   * Looks a descriptor up. `unusable` runs if the selector is null or beyond its table. Returns
   * from the check with 1 if a page fault was raised.
   */
  find(selector: Code, unusable: Code): Code {
    return [
      ...storeWord(AddedOffset.found, [...selector, ...call(this.#find)]),
      ...when([...loadWord(AddedOffset.found), ...constant(Found.RAISED), EQUAL], RAISED),
      ...when(loadWord(AddedOffset.found), unusable),
    ];
  }

  /** Returns from the check with 1 if the bytes cannot be written and a page fault was raised. */
  unlessWritable(address: Code, count: number): Code {
    const probe = this.#functions.index('writable_or_pagefault_cpl');
    return when([...constant(0), ...address, ...constant(count), ...call(probe)], RAISED);
  }

  /** Returns from the check with 1 if the page of `address` cannot be read: #PF was raised. */
  unlessReadable(address: Code): Code {
    return when([...this.#walk(address), IS_ZERO], RAISED);
  }

  /**
   * Whether the selector was refused for SS at the privilege level `cpl`: #SS if its segment is
   * absent, `vector` if it is invalid otherwise.
   */
  stack(selector: Code, cpl: Code, vector: number): Code {
    return [...selector, ...cpl, ...constant(vector), ...call(this.#stack)];
  }

  /**
   * Whether the selector was refused for ES, DS, FS or GS of a new task at the privilege level
   * `cpl`.
   */
  data(selector: Code, cpl: Code): Code {
    return [...selector, ...cpl, ...call(this.#data)];
  }

  #walk(address: Code): Code {
    const [isWrite, isUser, isCompiled, raises] = [0, 0, 0, 1];
    const walk = this.#functions.index('do_page_walk');
    return [...address, ...[isWrite, isUser, isCompiled, raises].flatMap(constant), ...call(walk)];
  }

  #addRaise(): number {
    const deliver = this.#functions.index('call_interrupt_vector');
    const [vector, errorCode] = [local(0), local(1)];
    return this.#functions.append(2, 1, [
      ...storeWord(CoreOffset.instructionPointer, loadWord(CoreOffset.previousInstructionPointer)),
      ...[...vector, ...constant(0), ...constant(1), ...errorCode, ...call(deliver)],
      ...constant(1),
    ]);
  }

  #addByte(): number {
    const address = local(0);
    // A page walk gives the page's place in the core's memory, XOR the linear page.
    const physical = this.#functions.append(2, 1, [
      ...when([...local(1), IS_ZERO], [...constant(0), RETURN]),
      ...[...local(1), ...constant(PAGE), AND, ...address, XOR, ...loadWord(CoreOffset.ramPointer), SUBTRACT],
      ...call(this.#functions.index('read8')),
    ]);
    return this.#functions.append(1, 1, [...address, ...this.#walk(address), ...call(physical)]);
  }

  #addFind(): number {
    const selector = local(0);
    const isLocal = [...selector, ...constant(IN_LOCAL_TABLE), AND];
    const offset = [...selector, ...constant(0xfff8), AND];
    const limit = select(isLocal, loadWord(AddedOffset.localTableLimit), loadWord(CoreOffset.gdtLimit));
    const base = select(isLocal, loadWord(AddedOffset.localTableBase), loadWord(CoreOffset.gdtBase));
    const address = loadWord(AddedOffset.foundAddress);
    const raised = [...constant(Found.RAISED), RETURN];
    const lastByte = [...address, ...constant(7), ADD];
    return this.#functions.append(1, 1, [
      ...when([...selector, ...constant(SELECTOR), AND, IS_ZERO], [...constant(Found.UNUSABLE), RETURN]),
      ...when([...limit, ...offset, BELOW], [...constant(Found.UNUSABLE), RETURN]),
      ...storeWord(AddedOffset.foundAddress, [...base, ...offset, ADD]),
      ...when([...this.#walk(address), IS_ZERO], raised),
      ...when([...this.#walk(lastByte), IS_ZERO], raised),
      ...storeWord(AddedOffset.foundAccess, this.byte([...address, ...constant(ACCESS_BYTE), ADD])),
      ...constant(Found.OK),
    ]);
  }

  /**
   * Loading a segment sets the bit "accessed" of its descriptor, which must be writable for that.
   */
  #unlessAccessible(): Code {
    const probe = this.unlessWritable([...loadWord(AddedOffset.foundAddress), ...constant(ACCESS_BYTE), ADD], 1);
    return when(has(Access.ACCESSED, 0), probe);
  }

  #addStack(): number {
    const [selector, cpl, vector] = [local(0), local(1), local(2)];
    const kind = Access.SEGMENT | Access.EXECUTABLE | Access.WRITABLE;
    return this.#functions.append(3, 1, [
      ...this.find(selector, this.refuse(vector, selector)),
      ...when([...has(kind, Access.SEGMENT | Access.WRITABLE), IS_ZERO], this.refuse(vector, selector)),
      ...when(
        [...requested(selector), ...cpl, NOT_EQUAL, ...level, ...cpl, NOT_EQUAL, OR],
        this.refuse(vector, selector),
      ),
      ...when(isAbsent, this.refuse(constant(Exception.STACK_FAULT), selector)),
      ...this.#unlessAccessible(),
      ...constant(0),
    ]);
  }

  #addData(): number {
    const [selector, cpl] = [local(0), local(1)];
    const invalid = this.refuse(constant(Exception.INVALID_TSS), selector);
    const conforming = Access.EXECUTABLE | Access.CONFORMING;
    const isInner = [...level, ...requested(selector), BELOW, ...level, ...cpl, BELOW, OR];
    return this.#functions.append(2, 1, [
      ...when([...selector, ...constant(SELECTOR), AND, IS_ZERO], FINE),
      ...this.find(selector, invalid),
      ...when(has(Access.SEGMENT, 0), invalid),
      ...when(has(Access.EXECUTABLE | READABLE, Access.EXECUTABLE), invalid),
      ...when([...has(conforming, conforming), IS_ZERO, ...isInner, AND], invalid),
      ...when(isAbsent, this.refuse(constant(Exception.NOT_PRESENT), selector)),
      ...this.#unlessAccessible(),
      ...constant(0),
    ]);
  }
}
