/**
 * SignalFrames: what a thread returns to from the handler of a signal. The system has put the
 * registers on the thread's stack, where another process can read and change them while the thread
 * waits in its call of rt_sigreturn (notifications.ts).
 *
 * Called by: acrn-programs/signal-returns.ts.
 * Callers must: call `finish` or `restart` before the next `find`, which overwrites the words of
 * the frame that they write back.
 *
 * A call that a signal interrupts fails with EINTR after the handler, or is made anew, as the
 * handler was installed (sigaction(2)).
 *
 * Sources: sigreturn(2), proc_pid_syscall(5), asm/ucontext.h and asm/sigcontext.h of x86-64,
 * "Interruption of system calls by a signal handler" in signal(7).
 */

import { threadSyscall } from './process-facts.js';
import type { ProcessMemory } from './process-memory.js';
import { SystemCall } from './seccomp-filter.js';

/** Words of struct ucontext, which lies at the stack pointer of rt_sigreturn. */
const DI = 13;
const SI = 14;
const AX = 18;
const IP = 21;
const WORDS = 22;
const WORD_BYTES = 8;
/** `syscall`. */
const INSTRUCTION = [0x0f, 0x05] as const;
const INSTRUCTION_BYTES = BigInt(INSTRUCTION.length);
/** The end of an instruction that puts the number of rt_sigreturn into a register. */
const LOAD_SIGRETURN = [SystemCall.rtSigreturn, 0, 0, 0] as const;
/** −EINTR. */
const INTERRUPTED = BigInt.asUintN(64, -4n);

/** A call that the thread returns to. */
export interface InterruptedCall {
  readonly thread: number;
  /** Of the frame. */
  readonly address: bigint;
  /** Behind the call's instruction. */
  readonly instruction: bigint;
  /** The call's first two arguments. */
  readonly args: readonly [bigint, bigint];
  /**
   * The call fails with EINTR. Its number is not known. Otherwise it is an ioctl that is about to
   * be made.
   */
  readonly hasFailed: boolean;
  /** The call is one of rt_sigreturn. */
  readonly isSigreturn: boolean;
}

export class SignalFrames {
  readonly #memory: ProcessMemory;
  readonly #words = new BigUint64Array(WORDS);

  constructor(memory: ProcessMemory) {
    this.#memory = memory;
  }

  /**
   * The call that a thread in rt_sigreturn returns to. Undefined for anything else than an ioctl or
   * an interrupted call. `running` if the thread is not asleep yet: ask again.
   */
  find(thread: number): InterruptedCall | 'running' | undefined {
    const call = threadSyscall(thread);
    if (call === 'running') return call;
    const words = this.#words;
    if (call?.number !== SystemCall.rtSigreturn) return undefined;
    if (!this.#memory.read(thread, call.stack, new Uint8Array(words.buffer))) return undefined;
    const hasFailed = words[AX] === INTERRUPTED;
    if (!hasFailed && words[AX] !== BigInt(SystemCall.ioctl)) return undefined;
    const ip = words[IP] ?? 0n;
    const instruction = hasFailed ? ip : ip + INSTRUCTION_BYTES;
    if (!this.#isAt(thread, instruction, INSTRUCTION)) return undefined;
    return {
      thread,
      address: call.stack,
      instruction,
      args: [words[DI] ?? 0n, words[SI] ?? 0n],
      hasFailed,
      isSigreturn: hasFailed && this.#isAt(thread, instruction - INSTRUCTION_BYTES, LOAD_SIGRETURN),
    };
  }

  /** Lets the call return `result` without being made. */
  finish(call: InterruptedCall, result: bigint): void {
    this.#set(call, result, call.instruction);
  }

  /** Lets the call of this number be made again. */
  restart(call: InterruptedCall, number: number): void {
    this.#set(call, BigInt(number), call.instruction - INSTRUCTION_BYTES);
  }

  #isAt(thread: number, end: bigint, expected: readonly number[]): boolean {
    const bytes = new Uint8Array(expected.length);
    return (
      this.#memory.read(thread, end - BigInt(bytes.length), bytes) && expected.every((byte, i) => bytes[i] === byte)
    );
  }

  /** The frame is as it was read: its thread waits. */
  #set({ thread, address }: InterruptedCall, ax: bigint, ip: bigint): void {
    const words = this.#words;
    words[AX] = ax;
    words[IP] = ip;
    const changed = new Uint8Array(words.buffer, AX * WORD_BYTES, (IP - AX + 1) * WORD_BYTES);
    this.#memory.write(thread, address + BigInt(AX * WORD_BYTES), changed);
  }
}
