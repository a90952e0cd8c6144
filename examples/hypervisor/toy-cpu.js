// @ts-check
/**
 * ToyCpu: what a vCPU does. upcall calls `start` each time the VM starts and then `run` again and
 * again, in the vCPU's own thread.
 *
 * Every access that leaves the RAM is one call of `handler`. The call returns when the Service VM
 * has completed the request, however long that takes. It may throw: `VcpuStopped` because the VM
 * was paused, reset or destroyed, which passes through here and ends the slice; `GeneralProtection`
 * because there can be no such request, which the guest sees.
 */

/**
 * @import { GuestMemory, InterruptController, InterruptLines, IoHandler, VcpuProgram, VcpuRegisters }
 *   from 'upcall/hypervisor'
 */

import { GeneralProtection, HALTED_FOREVER, TripleFault } from 'upcall/hypervisor';
import { INSTRUCTION_BYTES, Op } from './toy-program.js';

/**
 * Instructions per call of `run`, which take well below a millisecond: a pause waits for its end.
 */
const INSTRUCTIONS_PER_SLICE = 1000;

/**
 * @implements {VcpuProgram}
 * @implements {InterruptController}
 */
export class ToyCpu {
  #memory;
  #handler;
  #lines;
  #next = 0;
  #a = 0n;
  #faults = 0;
  /** Lines with an edge that no WAIT has taken yet. @type {Set<number>} */
  #edges = new Set();

  /**
   * @param {GuestMemory} memory
   * @param {IoHandler} handler
   * @param {InterruptLines} lines
   */
  constructor(memory, handler, lines) {
    this.#memory = memory;
    this.#handler = handler;
    this.#lines = lines;
  }

  /** Power-on. @param {VcpuRegisters | undefined} registers */
  start(registers) {
    this.#next = registers?.ip ?? 0;
    this.#a = 0n;
    this.#faults = 0;
    this.#edges.clear();
    this.#lines.resync();
  }

  /**
   * A slice. Returns for how many milliseconds nothing will happen: 0 to be called again at once.
   */
  run() {
    for (let count = 0; count < INSTRUCTIONS_PER_SLICE; count++) {
      // After each access, too: an interrupt that came with the answer is there before the next
      // one.
      if (this.#lines.relaxedChanged) this.#lines.deliver(this);
      const at = this.#next;
      if (!this.#memory.contains(at, INSTRUCTION_BYTES)) throw new TripleFault(`no RAM at 0x${at.toString(16)}`);
      const op = this.#memory.readU8(at);
      const operand = this.#read(at + 8);
      if (op === Op.HALT) return HALTED_FOREVER;
      // Halted until a line changes. The instruction is then run again.
      if (op === Op.WAIT && !this.#edges.delete(Number(operand))) return Infinity;
      this.#next = at + INSTRUCTION_BYTES;
      try {
        this.#execute(op, operand, this.#memory.readU8(at + 1));
      } catch (error) {
        if (!(error instanceof GeneralProtection)) throw error;
        this.#faults++;
      }
    }
    return 0;
  }

  /** Called by `deliver`. @param {number} line */
  raise(line) {
    this.#edges.add(line);
  }

  /** An edge stays an edge. */
  lower() {}

  /** @param {number} op @param {bigint} operand @param {number} size */
  #execute(op, operand, size) {
    const address = Number(operand);
    switch (op) {
      case Op.SET:
        this.#a = operand;
        return;
      case Op.ADD:
        this.#a = BigInt.asUintN(64, this.#a + operand);
        return;
      case Op.SAVE:
        this.#write(address, this.#a);
        return;
      case Op.FETCH:
        this.#a = this.#read(address);
        return;
      case Op.IN:
        this.#a = BigInt(this.#handler.portRead(address & 0xffff, this.#checked(size, 4)));
        return;
      case Op.OUT:
        this.#handler.portWrite(address & 0xffff, this.#checked(size, 4), low(this.#a));
        return;
      case Op.LOAD:
        this.#a = BigInt(this.#handler.mmioRead(address, this.#checked(size, 8)));
        if (size === 8) this.#a |= BigInt(this.#handler.valueHigh >>> 0) << 32n;
        return;
      case Op.STORE:
        this.#handler.mmioWrite(address, this.#checked(size, 8), low(this.#a), low(this.#a >> 32n) | 0);
        return;
      case Op.JUMP:
        this.#next = address;
        return;
      case Op.WAIT:
        return;
      case Op.FAULTS:
        this.#a = BigInt(this.#faults);
        return;
      default:
        throw new TripleFault(`no instruction ${op} before 0x${this.#next.toString(16)}`);
    }
  }

  /** @param {number} size @param {number} largest */
  #checked(size, largest) {
    if ([1, 2, 4, 8].includes(size) && size <= largest) return size;
    throw new TripleFault(`an access of ${size} bytes before 0x${this.#next.toString(16)}`);
  }

  /** 8 bytes of RAM. @param {number} address */
  #read(address) {
    this.#expectRam(address);
    return BigInt(this.#memory.readU32(address)) | (BigInt(this.#memory.readU32(address + 4)) << 32n);
  }

  /** @param {number} address @param {bigint} value */
  #write(address, value) {
    this.#expectRam(address);
    this.#memory.writeU32(address, low(value));
    this.#memory.writeU32(address + 4, low(value >> 32n));
  }

  /** @param {number} address */
  #expectRam(address) {
    if (!this.#memory.contains(address, 8)) throw new TripleFault(`no RAM at 0x${address.toString(16)}`);
  }
}

/** The low 32 bits. @param {bigint} value */
function low(value) {
  return Number(value & 0xffff_ffffn);
}
