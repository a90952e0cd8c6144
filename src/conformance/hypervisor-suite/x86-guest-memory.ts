/**
 * X86GuestMemory: the part of guest memory that one vCPU of x86Guests uses.
 *
 *     offset            content
 *     0                 code: the handlers, then the program
 *     VALUES            values that the program has read, 8 bytes each, in order
 *     POOL              constants, and memory for string instructions
 *     VARIABLES         count of #GPs, where to go on after one, a flag for each interrupt line
 *     INTERRUPT_TABLE   gates of exceptions and lines
 *     GUEST_BYTES       end of the stack, which grows down
 *
 * Called by: X86Guest (x86-guests.ts) and X86GuestInterrupts, while they assemble the code.
 */

import type { GuestMemory } from '../../hypervisor/guest-memory.js';
import type { AccessSize } from '../../io-request/io-request.js';

/** Bytes of one vCPU. */
export const GUEST_BYTES = 0x8000;
const VALUES = 0x4000;
const POOL = 0x5800;
const VARIABLES = 0x7600;
const INTERRUPT_TABLE = 0x7c00;

/** Bytes of a value: that of the widest load. */
const VALUE_BYTES = 8;
// Variables.
const FAULTS = VARIABLES;
const RESUME = VARIABLES + 4;
const RAISED = VARIABLES + 8;

export class X86GuestMemory {
  /** Guest physical address of the part. Segments are flat, so it is the linear address too. */
  readonly base: number;
  readonly #memory: GuestMemory;
  #values: number;
  #pool: number;

  constructor(memory: GuestMemory, base: number) {
    this.#memory = memory;
    this.base = base;
    this.#values = base + VALUES;
    this.#pool = base + POOL;
  }

  /** Address of the count of #GPs. */
  get faults(): number {
    return this.base + FAULTS;
  }

  /** Address of the variable with the address at which the guest goes on after a #GP. */
  get resume(): number {
    return this.base + RESUME;
  }

  /** Address of the byte that line `line`'s handler sets to 1. */
  raised(line: number): number {
    return this.base + RAISED + line;
  }

  get interruptTable(): number {
    return this.base + INTERRUPT_TABLE;
  }

  get stackEnd(): number {
    return this.base + GUEST_BYTES;
  }

  clear(): void {
    this.#memory.fill(0, this.base, GUEST_BYTES);
  }

  /** Returns false if the code, or what it reads, does not fit. */
  writeCode(bytes: readonly number[]): boolean {
    if (bytes.length > VALUES || this.#values > this.base + POOL) return false;
    this.#memory.write(this.base, Uint8Array.from(bytes));
    return true;
  }

  /** Address for the value that the program reads next. */
  nextValue(): number {
    const value = this.#values;
    this.#values += VALUE_BYTES;
    return value;
  }

  /** Address of the value with number `read`. */
  valueAt(read: number): number {
    return this.base + VALUES + VALUE_BYTES * read;
  }

  /** Takes memory from the pool, aligned to 8 bytes. Throws RangeError if there is too little. */
  allocate(bytes: number): number {
    const address = this.#pool;
    this.#pool += (bytes + 7) & ~7;
    if (this.#pool > this.base + VARIABLES) throw new RangeError(`a guest has ${VARIABLES - POOL} bytes of constants`);
    return address;
  }

  write(address: number, value: number, size: AccessSize): void {
    if (size === 1) this.#memory.writeU8(address, value);
    else if (size === 2) this.#memory.writeU16(address, value);
    else this.#memory.writeU32(address, value);
  }
}
