/**
 * KvmVcpu: a vCPU in its thread. Each KVM_RUN ends with an exit: an access to a port or to memory
 * that the VM does not have, which goes through the request path; a kick or a tick; or the end.
 *
 * Called by: the run loop (vcpu-loop.ts), as its VcpuProgram. Created by kvm-thread.ts.
 * Threads: the vCPU's.
 *
 * The kernel finishes the guest's instruction with the next KVM_RUN. `#isOpen` says that it still
 * has to: before the registers are set anew, it must have.
 *
 * Ticks interrupt KVM_RUN some times per second. Kicks do not need them. At a tick the thread
 * checks whether the guest has halted for good. And it lets Node end the thread: process.exit, and
 * the termination of this thread or of the one that started it, wait for that without a limit.
 */

import type { KvmTicks } from '../../host/kvm-calls.js';
import { GeneralProtection, type IoHandler } from '../io-handler.js';
import type { GuestMemory } from '../guest-memory.js';
import type { SavedVcpu } from '../saved-vcpu.js';
import type { VcpuRegisters } from '../vcpu-registers.js';
import { HALTED_FOREVER, TripleFault, type VcpuProgram } from '../vcpu-loop.js';
import { EMULATION, exitText } from './exit-text.js';
import { Bytes, Events, ExitReason, MpState, Request, Retry } from './kvm-abi.js';
import { KvmRun } from './kvm-run.js';
import type { KvmVcpuHandle } from './kvm-machine.js';
import type { Kernel } from './kernel.js';
import { generalRegisters, setSystemRegisters } from './start-state.js';
import { returnFromInterrupt } from './protected-return.js';
import { VcpuWords } from './vcpu-words.js';

const GENERAL_PROTECTION = 13;
/** In kvm_regs. */
const RIP = 128;
const RFLAGS = 136;
const INTERRUPT_FLAG = 0x200;
/**
 * Exits that one instruction can still make after its first one. A store of 64 bytes makes 8. The
 * kernel's emulator goes on with a repeated MOVS for up to 1,024 elements.
 */
const MAX_OPEN_EXITS = 4096;

/** What a vCPU's thread gets. */
export interface KvmProgram extends KvmVcpuHandle {
  /** As in KvmOptions. */
  readonly tickMs: number;
}

/** The request path, as far as exits use it. */
export type ExitHandler = Pick<IoHandler, 'portRead' | 'portWrite' | 'mmioRead' | 'mmioWrite' | 'valueHigh'>;

export class KvmVcpu implements VcpuProgram {
  readonly #vcpu: number;
  readonly #vcpuCount: number;
  readonly #tickMs: number;
  readonly #kernel: Kernel;
  readonly #descriptor: number;
  readonly #run: KvmRun;
  readonly #words: VcpuWords;
  readonly #handler: ExitHandler;
  readonly #memory: GuestMemory;
  #ticks: KvmTicks | undefined;
  #isOpen = false;

  constructor(vcpu: number, kernel: Kernel, program: KvmProgram, handler: ExitHandler, memory: GuestMemory) {
    this.#vcpu = vcpu;
    this.#vcpuCount = program.vcpuCount;
    this.#tickMs = program.tickMs;
    this.#kernel = kernel;
    this.#descriptor = program.descriptor;
    this.#run = new KvmRun(program.run, program.runBytes);
    this.#words = new VcpuWords(program.words);
    this.#handler = handler;
    this.#memory = memory;
  }

  /**
   * The machine has brought the vCPU to its power-on state. Without registers, every vCPU but the
   * first waits there for INIT and SIPI.
   */
  start(registers: VcpuRegisters | undefined): void {
    this.#words.setThread(this.#vcpu, this.#kernel.calls.thread());
    if (this.#tickMs > 0) this.#ticks = this.#kernel.calls.startTicks(this.#tickMs);
    if (registers === undefined) return;
    const sregs = this.#kernel.read(this.#descriptor, Request.GET_SREGS, Bytes.SREGS);
    setSystemRegisters(sregs, registers);
    this.#kernel.call(this.#descriptor, Request.SET_SREGS, sregs);
    this.#kernel.call(this.#descriptor, Request.SET_REGS, generalRegisters(registers));
    this.#kernel.call(this.#descriptor, Request.SET_MP_STATE, new Uint8Array(Uint32Array.of(MpState.RUNNABLE).buffer));
  }

  stop(): void {
    this.#ticks?.stop();
    this.#ticks = undefined;
    this.#words.setThread(this.#vcpu, 0);
    this.#finishInstruction();
  }

  /**
   * The kernel has the state: KvmMachine saves it once all vCPUs are held, because until then
   * another one can send an interrupt. Here the instruction is finished whose access was made. It
   * may make more of them.
   */
  save(): SavedVcpu {
    while (this.#isOpen) {
      this.#run.requestExit();
      this.run();
    }
    return { state: null };
  }

  run(): number {
    const result = this.#kernel.calls.ioctl(this.#descriptor, Request.RUN, 0);
    this.#isOpen = false;
    if (result < 0) return this.#interrupted(-result);
    switch (this.#run.reason) {
      case ExitReason.IO:
      case ExitReason.MMIO:
        this.#words.running(this.#vcpu);
        this.#access();
        return 0;
      // The kernel's controllers make it wait for interrupts itself. This is for one that does not.
      case ExitReason.HLT:
        return this.#run.takesInterrupts ? 0 : HALTED_FOREVER;
      case ExitReason.SHUTDOWN:
        throw new TripleFault(`vCPU ${this.#vcpu}: triple fault at 0x${this.#rip.toString(16)}`);
      case ExitReason.INTR:
        return 0;
      case ExitReason.INTERNAL_ERROR:
        if (this.#emulates()) return 0;
        throw new Error(exitText(this.#run, this.#rip));
      default:
        throw new Error(exitText(this.#run, this.#rip));
    }
  }

  /** A kick, a tick, a signal of another kind, or an error. */
  #interrupted(errno: number): number {
    if (errno !== Retry.EINTR && errno !== Retry.EAGAIN) throw this.#kernel.error('KVM_RUN', errno);
    // The run loop polls the VM's state next. A kick after this finds the vCPU in the guest, or
    // makes it return at once.
    this.#run.clearRequest();
    if (this.#isHalted()) return this.#words.halted(this.#vcpu, this.#vcpuCount) ? HALTED_FOREVER : 0;
    this.#words.running(this.#vcpu);
    return 0;
  }

  /** Whether only another vCPU, or an NMI, can make the guest go on. */
  #isHalted(): boolean {
    const state = this.#kernel.read(this.#descriptor, Request.GET_MP_STATE, Bytes.MP_STATE)[0];
    if (state === MpState.UNINITIALIZED || state === MpState.INIT_RECEIVED) return true;
    if (state !== MpState.HALTED) return false;
    const flags = new DataView(this.#registers().buffer).getUint32(RFLAGS, true);
    return (flags & INTERRUPT_FLAG) === 0;
  }

  /** Whether the instruction that KVM cannot emulate was executed here. */
  #emulates(): boolean {
    const regs = this.#registers();
    const sregs = this.#kernel.read(this.#descriptor, Request.GET_SREGS, Bytes.SREGS);
    const frame = { regs: new DataView(regs.buffer), sregs: new DataView(sregs.buffer) };
    if (this.#run.internalError.kind !== EMULATION || !returnFromInterrupt(frame, this.#memory)) return false;
    this.#kernel.call(this.#descriptor, Request.SET_REGS, regs);
    const events = this.#kernel.read(this.#descriptor, Request.GET_VCPU_EVENTS, Bytes.VCPU_EVENTS);
    if (events[Events.NMI_MASKED] === 0) return true;
    events[Events.NMI_MASKED] = 0;
    this.#kernel.call(this.#descriptor, Request.SET_VCPU_EVENTS, events);
    return true;
  }

  /** Runs `work`, which may end in a #GP of the guest. */
  #access(): void {
    this.#isOpen = true;
    try {
      if (this.#run.reason === ExitReason.IO) this.#ports();
      else this.#outsideRam();
    } catch (error) {
      if (!(error instanceof GeneralProtection)) throw error;
      this.#injectProtectionFault();
    }
  }

  /** Each element of a string instruction is a request of its own. */
  #ports(): void {
    const { isWrite, port, size, count, data } = this.#run.port;
    for (let at = data; at < data + count * size; at += size)
      if (isWrite) this.#handler.portWrite(port, size, this.#run.value(at, size));
      else this.#run.setValue(at, size, this.#handler.portRead(port, size));
  }

  /**
   * The part of an access that lies in one page. If it has 3, 5, 6 or 7 bytes it is several
   * requests.
   */
  #outsideRam(): void {
    const { isWrite, address, length } = this.#run.mmio;
    for (let index = 0; index < length;) {
      const size = largestSize(length - index);
      if (isWrite) this.#store(address + index, index, size);
      else this.#load(address + index, index, size);
      index += size;
    }
  }

  #load(address: number, index: number, size: number): void {
    const at = this.#run.mmioData(index);
    this.#run.setValue(at, Math.min(size, 4), this.#handler.mmioRead(address, size));
    if (size === 8) this.#run.setValue(at + 4, 4, this.#handler.valueHigh);
  }

  #store(address: number, index: number, size: number): void {
    const at = this.#run.mmioData(index);
    const high = size === 8 ? this.#run.value(at + 4, 4) | 0 : 0;
    this.#handler.mmioWrite(address, size, this.#run.value(at, Math.min(size, 4)), high);
  }

  /**
   * A load is undone: the guest gets the #GP at the instruction. A store may be finished already
   * for the kernel, and then it comes after the instruction.
   */
  #injectProtectionFault(): void {
    const registers = this.#registers();
    this.#finishInstruction();
    this.#kernel.call(this.#descriptor, Request.SET_REGS, registers);
    const events = this.#kernel.read(this.#descriptor, Request.GET_VCPU_EVENTS, Bytes.VCPU_EVENTS);
    events[Events.INJECTED] = 1;
    events[Events.VECTOR] = GENERAL_PROTECTION;
    events[Events.HAS_ERROR_CODE] = 1;
    events.fill(0, Events.ERROR_CODE, Events.ERROR_CODE + 4);
    this.#kernel.call(this.#descriptor, Request.SET_VCPU_EVENTS, events);
  }

  /**
   * Lets the kernel finish the instruction without the guest running on. It may read any value.
   * Registers that are set before the end of it would be those of the instruction afterwards.
   */
  #finishInstruction(): void {
    this.#run.requestExit();
    for (let exits = 0; this.#isOpen && exits < MAX_OPEN_EXITS; exits++)
      this.#isOpen = this.#kernel.calls.ioctl(this.#descriptor, Request.RUN, 0) >= 0;
    this.#run.clearRequest();
    if (this.#isOpen) throw new Error(`KVM does not finish an instruction within ${MAX_OPEN_EXITS} exits`);
  }

  get #rip(): bigint {
    return new DataView(this.#registers().buffer).getBigUint64(RIP, true);
  }

  #registers(): Uint8Array<ArrayBuffer> {
    return this.#kernel.read(this.#descriptor, Request.GET_REGS, Bytes.REGS);
  }
}

function largestSize(bytes: number): 1 | 2 | 4 | 8 {
  if (bytes >= 8) return 8;
  if (bytes >= 4) return 4;
  return bytes >= 2 ? 2 : 1;
}
