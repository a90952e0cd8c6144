/**
 * x86Guests: the suite's guests for hypervisors that execute x86 code.
 *
 * The code is flat 32-bit code, assembled from the same steps that other hypervisors play. The
 * guest's interrupt controllers are two 8259s, which the hypervisor emulates.
 *
 * Each vCPU has 32 KiB from 64 KiB on: code, what it has read (8 bytes a value), constants and
 * scratch memory, variables, the interrupt table and the stack. Before each access the guest notes
 * where it goes on after a #GP.
 */

import type { GuestMemory } from '../../hypervisor/guest-memory.js';
import type { VcpuRegisters } from '../../hypervisor/vcpu-registers.js';
import type { AccessSize } from '../../io-request/io-request.js';
import type { GuestProgram, GuestStep, GuestValue, StringRead, StringWrite, Wait } from './guest-program.js';
import type { GuestLoader } from './hypervisor-under-test.js';
import { X86Assembler } from './x86-assembler.js';

const GDT = 0x800;
/** Null, flat 32-bit code, flat data. */
const DESCRIPTORS: readonly number[] = [0, 0, 0x0000_ffff, 0x00cf_9a00, 0x0000_ffff, 0x00cf_9200];
const CODE_SELECTOR = 8;
const DATA_SELECTOR = 16;

const FIRST_GUEST = 0x1_0000;
const GUEST_BYTES = 0x8000;
// Offsets in a guest's memory: values read, constants and scratch memory, variables.
const VALUES = 0x4000;
const POOL = 0x5800;
const VARIABLES = 0x7600;
/** Count of #GPs, and where the guest goes on after one. */
const FAULTS = VARIABLES;
const RESUME = VARIABLES + 4;
/** A byte for each interrupt line. */
const RAISED = VARIABLES + 8;
const IDT = 0x7c00;
const STACK_END = 0x8000;

const GENERAL_PROTECTION = 13;
const FIRST_VECTOR = 0x20;
const LINES = 16;
const GATES = FIRST_VECTOR + LINES;
/** A present 32-bit interrupt gate. */
const INTERRUPT_GATE = 0x8e00;
const FOUR_GIB = 0x1_0000_0000;

/** To be spread into a HypervisorUnderTest. */
export const x86Guests: Required<GuestLoader> = {
  load(memory, programs) {
    DESCRIPTORS.forEach((word, index) => memory.writeU32(GDT + 4 * index, word));
    return programs.map((program, vcpu) => new X86Guest(memory, FIRST_GUEST + vcpu * GUEST_BYTES).load(program));
  },
  cannot(step) {
    return 'address' in step && step.address >= FOUR_GIB ? 'flat 32-bit code reaches 4 GiB' : undefined;
  },
};

class X86Guest {
  readonly #memory: GuestMemory;
  readonly #base: number;
  readonly #code: X86Assembler;
  #values: number;
  #pool: number;

  constructor(memory: GuestMemory, base: number) {
    this.#memory = memory;
    this.#base = base;
    this.#code = new X86Assembler(base);
    this.#values = base + VALUES;
    this.#pool = base + POOL;
  }

  load({ steps, forever = false }: GuestProgram): VcpuRegisters {
    const code = this.#code;
    const base = this.#base;
    this.#memory.fill(0, base, GUEST_BYTES);
    const handlers = this.#handlers();
    const entry = code.here;
    if (steps.some(({ op }) => op === 'wait')) this.#initialise8259s();
    const first = code.here;
    for (const step of steps) this.#step(step);
    if (forever) code.emitWith(first - (code.here + 5), 0xe9); // jmp first
    code.emit(0xfa, 0xf4, 0xeb, 0xfd); // cli; hlt; jmp to hlt
    if (code.here > base + VALUES || this.#values > base + POOL || this.#pool > base + VARIABLES)
      throw new RangeError(`a guest program of ${steps.length} steps is too large`);
    this.#memory.write(base, Uint8Array.from(code.bytes));
    for (const [vector, address] of handlers) {
      this.#memory.writeU32(base + IDT + 8 * vector, (CODE_SELECTOR << 16) | (address & 0xffff));
      this.#memory.writeU32(base + IDT + 8 * vector + 4, ((address & 0xffff_0000) | INTERRUPT_GATE) >>> 0);
    }
    return {
      mode: 'flat-32',
      ip: entry,
      esp: base + STACK_END,
      cs: { selector: CODE_SELECTOR },
      ds: { selector: DATA_SELECTOR },
      gdt: { base: GDT, limit: 4 * DESCRIPTORS.length - 1 },
      idt: { base: base + IDT, limit: 8 * GATES - 1 },
    };
  }

  /** The handlers of #GP and of the 16 lines: vector and address. */
  #handlers(): (readonly [vector: number, address: number])[] {
    const code = this.#code;
    const handlers: (readonly [number, number])[] = [[GENERAL_PROTECTION, code.here]];
    code.emit(0x83, 0xc4, 0x04); // add esp, 4: the error code
    code.emitWith(this.#base + FAULTS, 0xff, 0x05); // inc dword [faults]
    code.emit(0x50); // push eax
    code.emitWith(this.#base + RESUME, 0xa1); // mov eax, [resume]
    code.emit(0x89, 0x44, 0x24, 0x04); // mov [esp + 4], eax
    code.emit(0x58, 0xcf); // pop eax; iret
    for (let line = 0; line < LINES; line++) {
      handlers.push([FIRST_VECTOR + line, code.here]);
      code.emit(0x50, 0xb0, 0x20); // push eax; mov al, 0x20: end of interrupt
      if (line >= 8) code.emit(0xe6, 0xa0); // out 0xa0, al
      code.emit(0xe6, 0x20); // out 0x20, al
      code.emitWith(this.#base + RAISED + line, 0xc6, 0x05); // mov byte [raised + line],
      code.emit(1); // 1
      code.emit(0x58, 0xcf); // pop eax; iret
    }
    return handlers;
  }

  /** Vectors from 0x20 on, edge-triggered, nothing masked, interrupts on. */
  #initialise8259s(): void {
    const out = (port: number, value: number): void => this.#code.emit(0xb0, value, 0xe6, port); // mov al; out
    for (const [port, vector, cascade] of [
      [0x20, FIRST_VECTOR, 4],
      [0xa0, FIRST_VECTOR + 8, 2],
    ] as const) {
      out(port, 0x11);
      out(port + 1, vector);
      out(port + 1, cascade);
      out(port + 1, 1);
      out(port + 1, 0);
    }
    this.#code.emit(0xfb); // sti
  }

  #step(step: GuestStep): void {
    if (step.op === 'wait') {
      this.#wait(step);
      return;
    }
    const resumeAt = this.#code.storeLater(this.#base + RESUME);
    this.#access(step);
    resumeAt(this.#code.here);
  }

  #access(step: Exclude<GuestStep, Wait>): void {
    const code = this.#code;
    switch (step.op) {
      case 'in':
        code.emit(0x31, 0xc0); // xor eax, eax
        code.emitWith(step.port, 0xba); // mov edx, port
        code.emit(...code.sized(step.size, 0xec)); // in al/ax/eax, dx
        this.#keep();
        return;
      case 'out':
        this.#intoEax(step.value);
        code.emitWith(step.port, 0xba); // mov edx, port
        code.emit(...code.sized(step.size, 0xee)); // out dx, al/ax/eax
        return;
      case 'load':
        if (step.size === 8) {
          code.emitWith(step.address, 0x0f, 0x6f, 0x05); // movq mm0, [address]
          code.emitWith(this.#nextValue(), 0x0f, 0x7f, 0x05); // movq [value], mm0
          return;
        }
        code.emit(0x31, 0xc0); // xor eax, eax
        code.emitWith(step.address, ...code.sized(step.size, 0xa0)); // mov al/ax/eax, [address]
        this.#keep();
        return;
      case 'store':
        if (step.size === 8) {
          code.emitWith(this.#source(step.value), 0x0f, 0x6f, 0x05); // movq mm0, [source]
          code.emitWith(step.address, 0x0f, 0x7f, 0x05); // movq [address], mm0
          return;
        }
        this.#intoEax(step.value);
        code.emitWith(step.address, ...code.sized(step.size, 0xa2)); // mov [address], al/ax/eax
        return;
      case 'add':
        code.emitWith(step.address, ...code.sized(step.size, 0x80), 0x05); // add [address],
        this.#immediate(step.value, step.size); // value
        return;
      case 'exchange':
        this.#intoEax(step.value);
        code.emitWith(step.address, ...code.sized(step.size, 0x86), 0x05); // xchg [address], al/ax/eax
        if (step.size !== 4) code.emit(0x0f, step.size === 1 ? 0xb6 : 0xb7, 0xc0); // movzx eax, al/ax
        this.#keep();
        return;
      case 'ins':
      case 'load-string':
        this.#readString(step);
        return;
      case 'outs':
      case 'store-string':
        this.#writeString(step);
        return;
      case 'shut-down':
        code.emitWith(this.#allocate(8), 0x0f, 0x01, 0x1d); // lidt [empty table]
        code.emit(0xcc); // int3
    }
  }

  #readString(step: StringRead): void {
    const code = this.#code;
    const target = this.#allocate(step.count * step.size);
    code.emitWith(target, 0xbf); // mov edi, target
    if (step.op === 'ins')
      code.emitWith(step.port, 0xba); // mov edx, port
    else code.emitWith(step.address, 0xbe); // mov esi, address
    code.emitWith(step.count, 0xb9); // mov ecx, count
    code.emit(0xfc, 0xf3, ...code.sized(step.size, step.op === 'ins' ? 0x6c : 0xa4)); // cld; rep ins or rep movs
    for (let index = 0; index < step.count; index++) {
      code.emit(0x31, 0xc0); // xor eax, eax
      code.emitWith(target + index * step.size, ...code.sized(step.size, 0xa0)); // mov al/ax/eax, [element]
      this.#keep();
    }
  }

  #writeString(step: StringWrite): void {
    const code = this.#code;
    const source = this.#allocate(step.values.length * step.size);
    step.values.forEach((value, index) => this.#write(source + index * step.size, value, step.size));
    code.emitWith(source, 0xbe); // mov esi, source
    if (step.op === 'outs')
      code.emitWith(step.port, 0xba); // mov edx, port
    else code.emitWith(step.address, 0xbf); // mov edi, address
    code.emitWith(step.values.length, 0xb9); // mov ecx, count
    code.emit(0xfc, 0xf3, ...code.sized(step.size, step.op === 'outs' ? 0x6e : 0xa4)); // cld; rep outs or rep movs
  }

  #wait({ line }: Wait): void {
    const code = this.#code;
    const raised = this.#base + RAISED + line;
    code.emit(0xfa); // again: cli
    code.emitWith(raised, 0x80, 0x3d); // cmp byte [raised + line],
    code.emit(0); // 0
    code.emit(0x75, 0x04); // jne done
    code.emit(0xfb, 0xf4, 0xeb, 0xf2); // sti; hlt; jmp again
    code.emitWith(raised, 0xc6, 0x05); // done: mov byte [raised + line],
    code.emit(0, 0xfb); // 0; sti
  }

  /**
   * The value that was read is in EAX, zero-extended by the guest. All of EAX is kept, so that a
   * wide answer is seen.
   */
  #keep(): void {
    this.#code.emitWith(this.#nextValue(), 0xa3); // mov [value], eax
  }

  #nextValue(): number {
    const value = this.#values;
    this.#values += 8;
    return value;
  }

  #intoEax(value: GuestValue): void {
    if (value === 'faults')
      this.#code.emitWith(this.#base + FAULTS, 0xa1); // mov eax, [faults]
    else if (typeof value === 'object')
      this.#code.emitWith(this.#valueAt(value.read), 0xa1); // mov eax, [value]
    else this.#code.emitWith(Number(BigInt.asUintN(32, BigInt(value))), 0xb8); // mov eax, value
  }

  /** Where the 8 bytes of a value lie. */
  #source(value: GuestValue): number {
    if (value === 'faults') return this.#base + FAULTS;
    if (typeof value === 'object') return this.#valueAt(value.read);
    const source = this.#allocate(8);
    const bits = BigInt.asUintN(64, BigInt(value));
    this.#memory.writeU32(source, Number(bits & 0xffff_ffffn));
    this.#memory.writeU32(source + 4, Number(bits >> 32n));
    return source;
  }

  #valueAt(read: number): number {
    return this.#base + VALUES + 8 * read;
  }

  #allocate(bytes: number): number {
    const address = this.#pool;
    this.#pool += (bytes + 7) & ~7;
    if (this.#pool > this.#base + VARIABLES) throw new RangeError(`a guest has ${VARIABLES - POOL} bytes of constants`);
    return address;
  }

  #immediate(value: number, size: AccessSize): void {
    for (let byte = 0; byte < size; byte++) this.#code.emit((value >>> (8 * byte)) & 0xff);
  }

  #write(address: number, value: number, size: AccessSize): void {
    if (size === 1) this.#memory.writeU8(address, value);
    else if (size === 2) this.#memory.writeU16(address, value);
    else this.#memory.writeU32(address, value);
  }
}
