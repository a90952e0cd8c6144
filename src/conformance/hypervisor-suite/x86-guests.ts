/**
 * x86Guests: the suite's guests for hypervisors that execute x86 code.
 *
 * Called by: authors of hypervisors, who spread it into a HypervisorUnderTest.
 *
 * The code is flat 32-bit code (segments of 4 GiB from address 0, no paging), assembled from the
 * same steps that other hypervisors play. For example `{ op: 'in', port: 0x560, size: 1 }` becomes:
 *
 *     mov dword [resume], next        a #GP of the access goes on there (x86-guest-interrupts.ts)
 *     xor eax, eax
 *     mov edx, 0x560
 *     in al, dx
 *     mov [value], eax                the next value that was read (x86-guest-memory.ts)
 *     next:
 *
 * The guest's interrupt controllers are two 8259s, which the hypervisor emulates. Opcodes are from
 * the Intel SDM, volume 2. Each is followed by the instruction as text.
 */

import type { GuestMemory } from '../../hypervisor/guest-memory.js';
import type { VcpuRegisters } from '../../hypervisor/vcpu-registers.js';
import type { AccessSize } from '../../io-request/io-request.js';
import type { GuestProgram, GuestStep, GuestValue, StringRead, StringWrite, Wait } from './guest-program.js';
import type { GuestLoader } from './hypervisor-under-test.js';
import { X86Assembler } from './x86-assembler.js';
import { TABLE_BYTES, X86GuestInterrupts } from './x86-guest-interrupts.js';
import { GUEST_BYTES, X86GuestMemory } from './x86-guest-memory.js';

/** Guest physical address of the descriptor table, which all vCPUs share. */
const GDT = 0x800;
/** Null, flat 32-bit code, flat data. */
const DESCRIPTORS: readonly number[] = [0, 0, 0x0000_ffff, 0x00cf_9a00, 0x0000_ffff, 0x00cf_9200];
const CODE_SELECTOR = 8;
const DATA_SELECTOR = 16;

/** Where the part of vCPU 0 begins. The parts of the others follow it. */
const FIRST_GUEST = 0x1_0000;
const FOUR_GIB = 0x1_0000_0000;
/** Bytes of `jmp` with a 32-bit displacement, which counts from the instruction's end. */
const JMP_BYTES = 5;

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

/** Assembles the program of one vCPU. */
class X86Guest {
  readonly #memory: X86GuestMemory;
  readonly #code: X86Assembler;
  readonly #interrupts: X86GuestInterrupts;

  constructor(memory: GuestMemory, base: number) {
    this.#memory = new X86GuestMemory(memory, base);
    this.#code = new X86Assembler(base);
    this.#interrupts = new X86GuestInterrupts(this.#code, this.#memory);
  }

  /** Writes the program to guest memory. Throws RangeError if it is too large. */
  load({ steps, forever = false }: GuestProgram): VcpuRegisters {
    const code = this.#code;
    const memory = this.#memory;
    memory.clear();
    this.#interrupts.emitHandlers();
    const entry = code.here;
    // Without a `wait` interrupts stay off, and the hypervisor needs no 8259s.
    if (steps.some(({ op }) => op === 'wait')) this.#interrupts.emitInitialisation();
    const first = code.here;
    for (const step of steps) this.#step(step);
    if (forever) code.emitWith(first - (code.here + JMP_BYTES), 0xe9); // jmp first
    code.emit(0xfa, 0xf4, 0xeb, 0xfd); // cli; hlt; jmp to hlt
    if (!memory.writeCode(code.bytes)) throw new RangeError(`a guest program of ${steps.length} steps is too large`);
    this.#interrupts.writeTable(CODE_SELECTOR);
    return {
      mode: 'flat-32',
      ip: entry,
      esp: memory.stackEnd,
      cs: { selector: CODE_SELECTOR },
      ds: { selector: DATA_SELECTOR },
      gdt: { base: GDT, limit: 4 * DESCRIPTORS.length - 1 },
      idt: { base: memory.interruptTable, limit: TABLE_BYTES - 1 },
    };
  }

  /** A step, and before it the address behind it, where a #GP goes on. */
  #step(step: GuestStep): void {
    if (step.op === 'wait') {
      this.#interrupts.emitWait(step.line);
      return;
    }
    const resumeAt = this.#code.storeLater(this.#memory.resume);
    this.#access(step);
    resumeAt(this.#code.here);
  }

  /** The instructions of one step. */
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
          code.emitWith(this.#memory.nextValue(), 0x0f, 0x7f, 0x05); // movq [value], mm0
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
        // An exception without a gate, three times over: a triple fault.
        code.emitWith(this.#memory.allocate(8), 0x0f, 0x01, 0x1d); // lidt [empty table]
        code.emit(0x0f, 0x0b); // ud2
    }
  }

  /** Reads the elements into the pool, then keeps each like a single value. */
  #readString(step: StringRead): void {
    const code = this.#code;
    const target = this.#memory.allocate(step.count * step.size);
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
    const source = this.#memory.allocate(step.values.length * step.size);
    step.values.forEach((value, index) => this.#memory.write(source + index * step.size, value, step.size));
    code.emitWith(source, 0xbe); // mov esi, source
    if (step.op === 'outs')
      code.emitWith(step.port, 0xba); // mov edx, port
    else code.emitWith(step.address, 0xbf); // mov edi, address
    code.emitWith(step.values.length, 0xb9); // mov ecx, count
    code.emit(0xfc, 0xf3, ...code.sized(step.size, step.op === 'outs' ? 0x6e : 0xa4)); // cld; rep outs or rep movs
  }

  /**
   * The value that was read is in EAX, zero-extended by the guest. All of EAX is kept, so that a
   * wide answer is seen.
   */
  #keep(): void {
    this.#code.emitWith(this.#memory.nextValue(), 0xa3); // mov [value], eax
  }

  /** mov eax, value. Only the low 32 bits of a constant. */
  #intoEax(value: GuestValue): void {
    if (value === 'faults')
      this.#code.emitWith(this.#memory.faults, 0xa1); // mov eax, [faults]
    else if (typeof value === 'object')
      this.#code.emitWith(this.#memory.valueAt(value.read), 0xa1); // mov eax, [value]
    else this.#code.emitWith(Number(BigInt.asUintN(32, BigInt(value))), 0xb8); // mov eax, value
  }

  /** Where the 8 bytes of a value lie. */
  #source(value: GuestValue): number {
    if (value === 'faults') return this.#memory.faults;
    if (typeof value === 'object') return this.#memory.valueAt(value.read);
    const source = this.#memory.allocate(8);
    const bits = BigInt.asUintN(64, BigInt(value));
    this.#memory.write(source, Number(bits & 0xffff_ffffn), 4);
    this.#memory.write(source + 4, Number(bits >> 32n), 4);
    return source;
  }

  /** The immediate operand at the end of an instruction for operands of `size`. */
  #immediate(value: number, size: AccessSize): void {
    for (let byte = 0; byte < size; byte++) this.#code.emit((value >>> (8 * byte)) & 0xff);
  }
}
