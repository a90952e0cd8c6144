/**
 * Translations: the WebAssembly modules that the core's JIT compiler makes of guest code.
 *
 * They are compiled synchronously, because the vCPU's thread never turns its event loop. They
 * become part of the core only between two slices, because the core holds its compiler's lock while
 * it hands a module out.
 *
 * They are not optimised: a guest's code is spread over hundreds of large functions, of which it
 * runs little at a time, and the compiler's threads would want the CPUs that the guest and its
 * devices run on.
 *
 * Called by: Core, and the core through the functions that the translations import.
 * Threads: the vCPU's.
 */

import { host } from '../../host/current.js';
import { GeneralProtection } from '../io-handler.js';
import { CoreOffset, FIRST_TRANSLATION, TRANSLATION_COUNT } from './core-layout.js';
import type { CoreExports } from './core-exports.js';
import { coreBytes, coreWords } from './core-memory.js';
import { shareImportedMemory, STACK_POINTER_EXPORT } from './wasm-edit.js';

/** A module. The first three are what the core calls it by, and gets back with it. */
interface Compiled {
  readonly index: number;
  /** The guest-physical address of the code. */
  readonly start: number;
  /** The CPU's state for which it was translated: sizes, flat segments, level 3. */
  readonly stateFlags: number;
  /** Its function. */
  readonly entry: unknown;
}

/**
 * The functions by which translations access memory that is not in the core's TLB, by their
 * parameters.
 */
const SLOW_READ = /^safe_read(?:_write)?\d+s?_slow_jit$/;
const SLOW_WRITE = /^safe_write(?:8|16|32|64)_slow_jit$/;
const SLOW_WRITE_128 = 'safe_write128_slow_jit';
/**
 * A slow path's result that makes a translation store its registers and return, as after a page
 * fault.
 */
const LEAVE = 1;
/**
 * The bits of a slow path's last operand that are the instruction's offset in its page. Those of
 * writes have the translation's index above them.
 */
const OFFSET_IN_PAGE = 0xfff;
const NOWHERE = -1;

type SlowRead = (address: number, eip: number) => number;
type SlowWrite = (address: number, value: number | bigint, eip: number) => number;
type SlowWrite128 = (address: number, low: bigint, high: bigint, eip: number) => number;

export class Translations {
  readonly #core: CoreExports;
  readonly #table: WebAssembly.Table;
  readonly #stackPointer: WebAssembly.Global;
  readonly #imports: Readonly<Record<string, unknown>>;
  readonly #eip: Int32Array;
  readonly #onRefused: () => void;
  #compiled: Compiled[] = [];
  #mustLeave = false;
  /** The offset of the instruction that made the last slow read, until a slow write. */
  #lastRead = NOWHERE;
  #count = 0;

  /**
   * `onRefused` is called when a translation was left because of an access that was refused.
   */
  constructor(core: CoreExports, table: WebAssembly.Table, onRefused: () => void) {
    this.#core = core;
    this.#table = table;
    this.#stackPointer = core[STACK_POINTER_EXPORT];
    this.#onRefused = onRefused;
    this.#eip = coreWords(core.memory.buffer, CoreOffset.instructionPointer, 1);
    this.#imports = this.#importsOf(core);
  }

  /** Modules made since the core started. */
  get count(): number {
    return this.#count;
  }

  /** `codegen_finalize`: the core has made a module of `length` bytes. */
  add(index: number, start: number, stateFlags: number, address: number, length: number): void {
    // A module cannot be compiled from shared memory; the edit copies.
    const bytes = shareImportedMemory(coreBytes(this.#core.memory.buffer, address >>> 0, length >>> 0));
    const module = host.compileBaseline(bytes) as WebAssembly.Module;
    const { exports } = new WebAssembly.Instance(module, { e: this.#imports });
    this.#compiled.push({ index, start, stateFlags, entry: exports['f'] });
    this.#count++;
  }

  /** Between two slices: the modules made since the last call may run. */
  publish(): void {
    if (this.#compiled.length === 0) return;
    const compiled = this.#compiled;
    this.#compiled = [];
    for (const { index, start, stateFlags, entry } of compiled) {
      this.#table.set(FIRST_TRANSLATION + index, entry);
      this.#core.codegen_finalize_finished(index, start, stateFlags);
    }
  }

  /** `jit_clear_func`: the core has dropped a module. */
  remove(index: number): void {
    this.#table.set(FIRST_TRANSLATION + index, null);
  }

  /** Drops all, for a core that is restored to power-on. */
  reset(): void {
    this.#compiled = [];
    this.#count = 0;
    this.#mustLeave = false;
    this.#lastRead = NOWHERE;
    for (let index = 0; index < TRANSLATION_COUNT; index++) this.remove(index);
  }

  /**
   * Makes a running translation return to the core before its next access to a device, so that the
   * core polls for interrupts. Without it up to 100,003 instructions would come first, however long
   * their accesses take.
   */
  leaveSoon(): void {
    this.#mustLeave = true;
  }

  /** The core is between two translations. */
  left(): void {
    this.#mustLeave = false;
  }

  #importsOf(core: CoreExports): Record<string, unknown> {
    const imports: Record<string, unknown> = { m: core.memory };
    for (const [name, value] of Object.entries(core as unknown as Record<string, unknown>)) {
      if (typeof value !== 'function') continue;
      if (SLOW_READ.test(name)) imports[name] = this.#slowRead(value as SlowRead);
      else if (SLOW_WRITE.test(name)) imports[name] = this.#slowWrite(value as SlowWrite);
      else if (name === SLOW_WRITE_128) imports[name] = this.#slowWrite128(value as SlowWrite128);
      else imports[name] = value;
    }
    return imports;
  }

  /**
   * A translated instruction makes at most one slow read, which is its first access. So leaving
   * here repeats no access. (Those with two reads, such as CMPS, are calls of the interpreter.)
   */
  #slowRead(read: SlowRead): SlowRead {
    return (address, eip) => {
      if (this.#mustLeave) return this.#leave(eip);
      this.#lastRead = eip & OFFSET_IN_PAGE;
      const stack = this.#stackPointer.value;
      try {
        return read(address, eip);
      } catch (error) {
        return this.#refused(error, eip, stack);
      }
    };
  }

  /**
   * A translation must not be left between the read and the write of one instruction: it would
   * start again and read twice.
   */
  #slowWrite(write: SlowWrite): SlowWrite {
    return (address, value, eip) => {
      if (this.#mustLeave && (eip & OFFSET_IN_PAGE) !== this.#lastRead) return this.#leave(eip);
      this.#lastRead = NOWHERE;
      const stack = this.#stackPointer.value;
      try {
        return write(address, value, eip);
      } catch (error) {
        return this.#refused(error, eip, stack);
      }
    };
  }

  #slowWrite128(write: SlowWrite128): SlowWrite128 {
    return (address, low, high, eip) => {
      if (this.#mustLeave) return this.#leave(eip);
      this.#lastRead = NOWHERE;
      const stack = this.#stackPointer.value;
      try {
        return write(address, low, high, eip);
      } catch (error) {
        return this.#refused(error, eip, stack);
      }
    };
  }

  /**
   * An access that cannot become a request. The translation has the guest's registers in its own
   * variables, so nothing may be thrown through it. It leaves as after a page fault, and the core
   * then raises the #GP that is noted here. The slow path's frames on the core's own stack are
   * dropped.
   */
  #refused(error: unknown, eip: number, stack: number): number {
    if (!(error instanceof GeneralProtection)) throw error;
    this.#stackPointer.value = stack;
    this.#core.trigger_gp_jit(0, eip & OFFSET_IN_PAGE);
    this.#onRefused();
    return LEAVE;
  }

  /**
   * The instruction at `eip` had no effect and will run again: the core finds no exception noted
   * when the translation has returned, and its main loop goes on at EIP.
   */
  #leave(eip: number): number {
    this.#mustLeave = false;
    this.#eip[0] = ((this.#eip[0] as number) & ~OFFSET_IN_PAGE) | (eip & OFFSET_IN_PAGE);
    return LEAVE;
  }
}
