/**
 * ExceptionDelivery: goes on after the core has stopped in the middle of an instruction or of a
 * delivery, as the guest's CPU would.
 *
 * Called by: Core, after each exception of JavaScript or WebAssembly that leaves the core's code.
 *
 * The core stops (exception-edits.ts) where it lacks an exception, where an exception occurs while
 * another one is delivered, and where an access was refused (GeneralProtection). Then nothing of it
 * is on the stack any more. The CPU's state is that of the instruction's start, or that of before
 * the delivery, which the edits saved. So the exception that is due is delivered from here, by the
 * core's own `call_interrupt_vector`. If that fails, too, the two exceptions make a third one: a
 * double fault, or after a double fault a shutdown (Intel SDM, volume 3A, 6.15, interrupt 8).
 *
 * Last resort: a stop that none of this explains shuts the guest's CPU down.
 */

import { hex } from '../../io-request/io-request.js';
import { GeneralProtection } from '../io-handler.js';
import { TripleFault } from '../vcpu-loop.js';
import type { CoreExports } from './core-exports.js';
import {
  AddedOffset,
  CoreOffset,
  NO_SELECTOR,
  NO_VECTOR,
  SAVED_STATE,
  SystemSegmentIndex,
  TaskSwitch,
} from './core-layout.js';
import { coreBytes, coreFields } from './core-memory.js';
import { DELIVER_EXPORT } from './exception-edits.js';
import { Exception, panicMeaning, type DueException } from './panic-sites.js';
import { STACK_POINTER_EXPORT } from './wasm-edit.js';

interface Raised {
  readonly vector: number;
  /** undefined: the vector has none. */
  readonly errorCode: number | undefined;
}

const GENERAL_PROTECTION: Raised = { vector: Exception.GENERAL_PROTECTION, errorCode: 0 };
const DOUBLE_FAULT: Raised = { vector: Exception.DOUBLE_FAULT, errorCode: 0 };
/** Those with an error code. A divide error is the other contributory exception. */
const CONTRIBUTORY: readonly number[] = [
  Exception.INVALID_TSS,
  Exception.NOT_PRESENT,
  Exception.STACK_FAULT,
  Exception.GENERAL_PROTECTION,
];
// Bits of the error codes of these: an event from outside of the program, a gate of the IDT instead
// of a descriptor, and the selector.
const EXTERNAL = 1;
const IN_IDT = 2;
const SELECTOR = 0xfffc;
/** For CoreOffset.fetchPage. */
const NO_PAGE = -1;
const INSTRUCTION_POINTER = CoreOffset.instructionPointer >> 2;
/** Where the instruction began that is executed. */
const PREVIOUS = CoreOffset.previousInstructionPointer >> 2;

export class ExceptionDelivery {
  readonly #core: CoreExports;
  readonly #words: Int32Array;
  readonly #stackPointer: number;
  readonly #compilerLock: Uint8Array;

  /** `words` is the CPU's state. `stackPointer` is the core's own with nothing on its stack. */
  constructor(core: CoreExports, words: Int32Array, stackPointer: number) {
    this.#core = core;
    this.#words = words;
    this.#stackPointer = stackPointer;
    this.#compilerLock = coreBytes(core.memory.buffer, CoreOffset.compilerLock, 1);
    this.#set(AddedOffset.nestedVector, NO_VECTOR);
  }

  /**
   * Returns if the guest can run on. Throws TripleFault if its CPU has shut down, and `error`
   * itself if it is not one of the core.
   */
  recover(error: unknown): void {
    // A trap of the core, or its stack is full.
    const isStop = error instanceof WebAssembly.RuntimeError || error instanceof RangeError;
    if (!isStop && !(error instanceof GeneralProtection)) throw error;
    this.#core[STACK_POINTER_EXPORT].value = this.#stackPointer;
    // The core forgets an instruction's prefixes at its end, which this one did not reach.
    this.#words[CoreOffset.prefixes >> 2] = 0;
    if (this.#get(AddedOffset.delivering) !== 0) {
      this.#deliver(this.#afterFailure(error));
      return;
    }
    if (error instanceof GeneralProtection) {
      this.#requireNoSwitch(error, undefined);
      this.#raise(GENERAL_PROTECTION);
      return;
    }
    const panic = this.#takePanic();
    this.#requireNoSwitch(error, panic?.where);
    if (this.#compilerLock[0] !== 0) this.#releaseCompiler();
    else if (typeof panic?.meaning === 'object') this.#raise(this.#due(panic.meaning));
    else if (panic?.meaning !== 'page-fault-raised') throw this.#shutDown(error, panic?.where);
  }

  /** Delivers a fault of the instruction that began last: EIP points at it again. */
  #raise(exception: Raised): void {
    this.#words[INSTRUCTION_POINTER] = this.#words[PREVIOUS] as number;
    this.#deliver(exception);
  }

  /** Delivers an exception at EIP, and those that its delivery causes. */
  #deliver(exception: Raised): void {
    let due = exception;
    for (;;) {
      const { vector, errorCode } = due;
      this.#words[PREVIOUS] = this.#words[INSTRUCTION_POINTER] as number;
      try {
        this.#core[DELIVER_EXPORT](vector, 0, errorCode === undefined ? 0 : 1, errorCode ?? 0);
        return;
      } catch (error) {
        const isStop = error instanceof WebAssembly.RuntimeError || error instanceof RangeError;
        if (!isStop && !(error instanceof GeneralProtection)) throw error;
        this.#core[STACK_POINTER_EXPORT].value = this.#stackPointer;
        due = this.#afterFailure(error);
      }
    }
  }

  /**
   * The delivery under way has failed. Restores the state before it and returns what is due now.
   */
  #afterFailure(error: unknown): Raised {
    const first = this.#get(AddedOffset.vector);
    const isSoftware = this.#get(AddedOffset.isSoftware) !== 0;
    const isException = this.#get(AddedOffset.hasErrorCode) !== 0 || first === Exception.DIVIDE_ERROR;
    const second = this.#failure(error, isSoftware ? 0 : EXTERNAL);
    this.#restore();
    // INT n counts as done only when its handler begins. Other events keep the EIP they have.
    if (isSoftware) this.#words[INSTRUCTION_POINTER] = this.#words[PREVIOUS] as number;
    const firstClass = isException && !isSoftware ? first : NO_VECTOR;
    if (firstClass === Exception.DOUBLE_FAULT) throw this.#tripleFault(second);
    const isDouble =
      firstClass === Exception.PAGE_FAULT
        ? isPageFault(second) || isContributory(second)
        : (CONTRIBUTORY.includes(firstClass) || firstClass === Exception.DIVIDE_ERROR) && isContributory(second);
    return isDouble ? DOUBLE_FAULT : second;
  }

  /** The exception that ended the delivery under way. */
  #failure(error: unknown, external: number): Raised {
    const nested = this.#get(AddedOffset.nestedVector);
    this.#set(AddedOffset.nestedVector, NO_VECTOR);
    const panic = this.#takePanic();
    if (nested !== NO_VECTOR) {
      this.#set(AddedOffset.switching, 0);
      let errorCode = this.#get(AddedOffset.nestedErrorCode);
      // The core names the gate also where the segment behind it is absent.
      const selector = this.#get(AddedOffset.selector);
      if (nested === Exception.NOT_PRESENT && errorCode === this.#gate() && selector !== NO_SELECTOR)
        errorCode = selector & SELECTOR;
      return { vector: nested, errorCode: CONTRIBUTORY.includes(nested) ? errorCode | external : errorCode };
    }
    this.#requireNoSwitch(error, panic?.where);
    if (error instanceof GeneralProtection) return { ...GENERAL_PROTECTION, errorCode: external };
    if (typeof panic?.meaning === 'object') {
      const { vector, errorCode = 0 } = this.#due(panic.meaning);
      return { vector, errorCode: errorCode | external };
    }
    throw this.#shutDown(error, panic?.where);
  }

  #due({ vector, errorCode }: DueException): Raised {
    if (errorCode === 'zero') return { vector, errorCode: 0 };
    const task = this.#fields(CoreOffset.segmentSelectors + 2 * SystemSegmentIndex.TASK, 2).getUint16(0, true);
    if (errorCode === 'task') return { vector, errorCode: task & SELECTOR };
    const selector = this.#get(AddedOffset.selector);
    if (selector === NO_SELECTOR) return { vector, errorCode: this.#gate() };
    const isReturn = errorCode === 'new-task' && this.#get(AddedOffset.taskSwitch) === TaskSwitch.IRET;
    return { vector: isReturn ? Exception.INVALID_TSS : vector, errorCode: selector & SELECTOR };
  }

  /** The error code that names the gate of the delivery under way. */
  #gate(): number {
    return (this.#get(AddedOffset.vector) << 3) | IN_IDT;
  }

  #restore(): void {
    const { start, end, except } = SAVED_STATE;
    const saved = AddedOffset.savedState >> 2;
    const from = start >> 2;
    for (let word = from; word < end >> 2; word++)
      if (word < except.start >> 2 || word >= except.end >> 2)
        this.#words[word] = this.#words[saved + word - from] as number;
    this.#words[CoreOffset.fetchPage >> 2] = NO_PAGE;
    this.#set(AddedOffset.delivering, 0);
  }

  /**
   * The core's compiler failed, between two instructions of the guest: it ran out of stack, or the
   * host out of memory for a module. Only its lock is still taken. From now on it compiles nothing,
   * because its last module stays unfinished.
   */
  #releaseCompiler(): void {
    this.#compilerLock[0] = 0;
  }

  /** Where the core panicked, if it did since the last call. */
  #takePanic(): { readonly meaning: ReturnType<typeof panicMeaning>; readonly where: string } | undefined {
    const address = this.#get(AddedOffset.panicPosition) >>> 0;
    if (address === 0) return undefined;
    this.#set(AddedOffset.panicPosition, 0);
    const position = this.#fields(address, 12);
    const name = coreBytes(this.#core.memory.buffer, position.getUint32(0, true), position.getUint32(4, true));
    const file = String.fromCharCode(...name);
    const line = position.getUint32(8, true);
    return { meaning: panicMeaning(file, line), where: `${file}:${line}` };
  }

  /** A task switch that stops halfway leaves a CPU that belongs to neither task. */
  #requireNoSwitch(error: unknown, panic: string | undefined): void {
    if (this.#get(AddedOffset.switching) === 0) return;
    this.#set(AddedOffset.switching, 0);
    throw this.#shutDown(error, panic);
  }

  #tripleFault({ vector }: Raised): TripleFault {
    return new TripleFault(
      `triple fault: the guest shut its CPU down ${this.#where()} (exception ${vector} in the delivery of a double fault)`,
    );
  }

  #shutDown(error: unknown, panic: string | undefined): TripleFault {
    const cause = panic === undefined ? String(error instanceof Error ? error.message : error) : `panic at ${panic}`;
    return new TripleFault(`the v86 core stopped ${this.#where()}: ${cause}; the guest's CPU is shut down`);
  }

  #where(): string {
    return `at EIP ${hex((this.#words[INSTRUCTION_POINTER] as number) >>> 0, 8)}`;
  }

  #fields(address: number, count: number): DataView {
    return coreFields(this.#core.memory.buffer, address, count);
  }

  #get(offset: number): number {
    return this.#words[offset >> 2] as number;
  }

  #set(offset: number, value: number): void {
    this.#words[offset >> 2] = value;
  }
}

function isContributory({ vector }: Raised): boolean {
  return vector === Exception.DIVIDE_ERROR || CONTRIBUTORY.includes(vector);
}

function isPageFault({ vector }: Raised): boolean {
  return vector === Exception.PAGE_FAULT;
}
