/**
 * X86GuestInterrupts: the interrupts of a guest of x86Guests: its two 8259s, the handlers of the 16
 * lines and of #GP, and the code that waits for a line.
 *
 * Called by: X86Guest (x86-guests.ts).
 *
 * A line's handler sets a byte (X86GuestMemory.raised), and `wait` halts until that byte is set.
 * The handler of #GP counts it and goes on where the program says: it has put that address into
 * `resume` before each access.
 */

import type { X86Assembler } from './x86-assembler.js';
import type { X86GuestMemory } from './x86-guest-memory.js';

const GENERAL_PROTECTION = 13;
/** The vector of line 0. Those below are exceptions. */
const FIRST_VECTOR = 0x20;
const LINES = 16;
/** Lines of one 8259. */
const LINES_OF_CHIP = 8;
const GATE_BYTES = 8;
/** A present 32-bit interrupt gate. */
const INTERRUPT_GATE = 0x8e00;

const FIRST_CHIP = 0x20;
const SECOND_CHIP = 0xa0;
/** The end-of-interrupt command. */
const END_OF_INTERRUPT = 0x20;

/** Bytes of the interrupt table. */
export const TABLE_BYTES = GATE_BYTES * (FIRST_VECTOR + LINES);

export class X86GuestInterrupts {
  readonly #code: X86Assembler;
  readonly #memory: X86GuestMemory;
  /** Vector and address of each handler. */
  readonly #handlers: (readonly [vector: number, address: number])[] = [];

  constructor(code: X86Assembler, memory: X86GuestMemory) {
    this.#code = code;
    this.#memory = memory;
  }

  emitHandlers(): void {
    const code = this.#code;
    this.#handlers.push([GENERAL_PROTECTION, code.here]);
    code.emit(0x83, 0xc4, 0x04); // add esp, 4: the error code
    code.emitWith(this.#memory.faults, 0xff, 0x05); // inc dword [faults]
    code.emit(0x50); // push eax
    code.emitWith(this.#memory.resume, 0xa1); // mov eax, [resume]
    code.emit(0x89, 0x44, 0x24, 0x04); // mov [esp + 4], eax: the return address
    code.emit(0x58, 0xcf); // pop eax; iret
    for (let line = 0; line < LINES; line++) {
      this.#handlers.push([FIRST_VECTOR + line, code.here]);
      code.emit(0x50, 0xb0, END_OF_INTERRUPT); // push eax; mov al, end of interrupt
      if (line >= LINES_OF_CHIP) code.emit(0xe6, SECOND_CHIP); // out second chip, al
      code.emit(0xe6, FIRST_CHIP); // out first chip, al
      code.emitWith(this.#memory.raised(line), 0xc6, 0x05); // mov byte [raised],
      code.emit(1); // 1
      code.emit(0x58, 0xcf); // pop eax; iret
    }
  }

  /** Programs both chips: vectors from 0x20 on, edge-triggered, nothing masked. Interrupts on. */
  emitInitialisation(): void {
    const out = (port: number, value: number): void => this.#code.emit(0xb0, value, 0xe6, port); // mov al; out
    // The first chip has the second one at line 2, as a bit. The second one has its number.
    for (const [chip, vector, cascade] of [
      [FIRST_CHIP, FIRST_VECTOR, 4],
      [SECOND_CHIP, FIRST_VECTOR + LINES_OF_CHIP, 2],
    ] as const) {
      out(chip, 0x11); // ICW1: edge-triggered, cascaded, ICW4 follows
      out(chip + 1, vector); // ICW2
      out(chip + 1, cascade); // ICW3
      out(chip + 1, 1); // ICW4: 8086 mode
      out(chip + 1, 0); // OCW1: the mask
    }
    this.#code.emit(0xfb); // sti
  }

  /**
   * Halts until the line's byte is set, and clears it. `sti; hlt` is safe: the processor takes no
   * interrupt between the two.
   */
  emitWait(line: number): void {
    const code = this.#code;
    const raised = this.#memory.raised(line);
    code.emit(0xfa); // again: cli
    code.emitWith(raised, 0x80, 0x3d); // cmp byte [raised],
    code.emit(0); // 0
    code.emit(0x75, 0x04); // jne done
    code.emit(0xfb, 0xf4, 0xeb, 0xf2); // sti; hlt; jmp again
    code.emitWith(raised, 0xc6, 0x05); // done: mov byte [raised],
    code.emit(0, 0xfb); // 0; sti
  }

  /** Writes the gates of all handlers, for code segment `selector`. */
  writeTable(selector: number): void {
    for (const [vector, address] of this.#handlers) {
      const gate = this.#memory.interruptTable + GATE_BYTES * vector;
      this.#memory.write(gate, (selector << 16) | (address & 0xffff), 4);
      this.#memory.write(gate + 4, ((address & 0xffff_0000) | INTERRUPT_GATE) >>> 0, 4);
    }
  }
}
