/**
 * TracedThread: a thread of another process, stopped by ptrace(2).
 *
 * Called by: injected-calls.ts and interrupted-calls.ts.
 * Callers must: be allowed to trace the process, which no other may trace at that time: a debugger
 * excludes this. They must call `detach`, also after an error.
 * Threads: all calls in the one that made the object, which ptrace(2) takes for the tracer. It
 * blocks until the other thread has stopped, at most STOP_LIMIT_MS.
 *
 * The thread is stopped for some tens of microseconds. The other threads of its process run on.
 *
 * Sources: ptrace(2), waitid(2), sys/user.h and the calling convention of x86-64.
 */

import { requireLibc, type Libc, type NativeFunction } from './libc.js';
import { threadFacts } from './process-facts.js';

// Requests by the names of the manual page.
const PTRACE_PEEKTEXT = 1;
const PTRACE_GETREGS = 12;
const PTRACE_SETREGS = 13;
const PTRACE_DETACH = 17;
const PTRACE_SYSCALL = 24;
const PTRACE_SEIZE = 0x4206;
const PTRACE_INTERRUPT = 0x4207;
const PTRACE_GETSIGMASK = 0x420a;
const PTRACE_SETSIGMASK = 0x420b;
/** A stop at a system call then differs from one by SIGTRAP. */
const PTRACE_O_TRACESYSGOOD = 1;
const WNOHANG = 1;
const WSTOPPED = 2;
/** Threads that are no processes, too. */
const WALL = 0x4000_0000;
const P_PID = 1;
const SIGTRAP = 5;
const SYSCALL_STOP = SIGTRAP | 0x80;
const SIGSET_BYTES = 8;
const ALL_SIGNALS = 0xffff_ffff_ffff_ffffn;
/**
 * siginfo_t: `si_pid` is 0 if there was no stop. `si_status` is its signal, plus 256 times an
 * event.
 */
const INFO_BYTES = 128;
const INFO_PID = 16;
const INFO_STATUS = 24;
const FIRST_EVENT = 0x100;

/** struct user_regs_struct: 27 words, of which these are used. */
const REGISTERS = 27;
export const Register = { RAX: 10, ORIG_RAX: 15, RIP: 16, RSP: 19 } as const;
/** Arguments of a system call, in order: rdi, rsi, rdx, r10, r8, r9. */
export const ARGUMENTS = [14, 13, 12, 7, 9, 8] as const;
/** `syscall`, 0F 05, as the low half of a little-endian word. */
const SYSCALL_INSTRUCTION = 0x050fn;
export const INSTRUCTION_BYTES = 2n;
/** In ORIG_RAX: the thread is not in a call. */
const NO_CALL = 0xffff_ffff_ffff_ffffn;

/** Limit for a stop that was asked for. Beyond it the thread is stuck in the kernel. */
const STOP_LIMIT_MS = 3000;
const STOP_POLL_US = 20;
/** Polls of a stop between two checks whether the thread still exists. */
const POLLS_PER_CHECK = 50;
const DETACH_POLL_MS = 5;
/**
 * Stops of one call that a thread executes: another thread of the program may send any number of
 * SIGSTOP.
 */
const MAX_STOPS = 16;

export type Call = readonly [number: number, ...args: (bigint | number)[]];

/** The thread ended, is traced by another process, or may not be traced. */
export class InjectionError extends Error {}

export class TracedThread {
  readonly thread: number;
  /** As the thread had them when it stopped. Indices: `Register`, ARGUMENTS. */
  readonly registers = new BigUint64Array(REGISTERS);
  readonly #libc: Libc;
  readonly #ptrace: NativeFunction;
  readonly #waitid: NativeFunction;
  readonly #sleep: NativeFunction;
  readonly #info = new Uint8Array(INFO_BYTES);
  /** A signal that stopped the thread first. It is delivered at the end. 0: none. */
  #signal = 0;

  /**
   * Stops the thread. `release`: called once it is sure to stop before it executes an instruction
   * of its program. Throws InjectionError. The thread then runs on.
   */
  constructor(thread: number, release?: () => void, libc: Libc = requireLibc()) {
    this.thread = thread;
    this.#libc = libc;
    this.#ptrace = libc.func('int64_t ptrace(int64_t request, int thread, int64_t address, void *data)');
    this.#sleep = libc.func('int usleep(uint microseconds)');
    this.#waitid = libc.func('int waitid(int type, uint thread, _Out_ uint8_t *info, int options)');
    if (this.#request(PTRACE_SEIZE, 0, BigInt(PTRACE_O_TRACESYSGOOD)) !== 0)
      throw new InjectionError(`thread ${thread} cannot be traced: errno ${libc.errno()}`);
    try {
      this.#expect(PTRACE_INTERRUPT);
      release?.();
      this.#keepSignal(this.#wait());
      this.#expect(PTRACE_GETREGS, 0, this.registers);
    } catch (error) {
      this.detach();
      throw error;
    }
  }

  /** Bit N−1 for signal N, as are all sets of signals here. */
  blockedSignals(): bigint {
    const mask = new BigUint64Array(1);
    this.#expect(PTRACE_GETSIGMASK, SIGSET_BYTES, mask);
    return mask[0] ?? 0n;
  }

  /** Blocks all signals of the thread that can be blocked. Returns those that were before. */
  blockSignals(): bigint {
    const before = this.blockedSignals();
    this.restoreSignals(ALL_SIGNALS);
    return before;
  }

  restoreSignals(mask: bigint): void {
    this.#expect(PTRACE_SETSIGMASK, SIGSET_BYTES, new BigUint64Array([mask]));
  }

  #setRegisters(registers = this.registers): void {
    this.#expect(PTRACE_SETREGS, 0, registers);
  }

  /**
   * Sets the registers so that the thread makes a call with the instruction at `at`, which it does
   * when it runs on. Arguments that are not given are those of `registers`.
   */
  #makeCall(at: bigint, [number, ...args]: Call): void {
    const changed = this.registers.slice();
    changed[Register.RIP] = at;
    changed[Register.RAX] = BigInt(number);
    changed[Register.ORIG_RAX] = NO_CALL;
    args.forEach((value, i) => (changed[ARGUMENTS[i] as number] = BigInt.asUintN(64, BigInt(value))));
    this.#setRegisters(changed);
  }

  /** Lets the call that the thread is in return `result`, −errno if it fails. */
  returnFromCall(result: number): void {
    this.registers[Register.RAX] = BigInt.asUintN(64, BigInt(result));
    this.registers[Register.ORIG_RAX] = NO_CALL;
    this.#setRegisters();
  }

  /**
   * Makes the thread execute a call with the `syscall` instruction at address `at` of its memory
   * (`isSyscall`). Its signals must be blocked. Its registers are not restored. Returns the result,
   * −errno if the call failed.
   */
  execute(at: bigint, call: Call): bigint {
    this.#makeCall(at, call);
    // Into the call, and out of it. SIGSTOP, which cannot be blocked, may come first, and the
    // interrupt is reported again if a signal came before it.
    let isInCall = false;
    for (let stops = 0; ; stops++) {
      if (stops === MAX_STOPS) throw new InjectionError(`thread ${this.thread} is stopped again and again`);
      this.#expect(PTRACE_SYSCALL);
      const stop = this.#wait();
      if (stop !== SYSCALL_STOP) this.#keepSignal(stop);
      else if (isInCall) break;
      else isInCall = true;
    }
    const after = this.registers.slice();
    this.#expect(PTRACE_GETREGS, 0, after);
    return BigInt.asIntN(64, after[Register.RAX] ?? 0n);
  }

  /** Whether there is a `syscall` instruction at address `at` of the thread's memory. */
  isSyscall(at: bigint): boolean {
    // The C library's wrapper returns the word, −1 also for a failure: then it is no instruction.
    const word = BigInt(this.#ptrace(PTRACE_PEEKTEXT, this.thread, BigInt.asIntN(64, at), null));
    return (BigInt.asUintN(64, word) & 0xffffn) === SYSCALL_INSTRUCTION;
  }

  /** Lets the thread run on. */
  detach(): void {
    if (this.#request(PTRACE_DETACH, 0, BigInt(this.#signal)) !== 0) this.#detachLater();
  }

  /**
   * The thread was killed, or has not stopped yet. One that was killed stays until its tracer has
   * taken its end, and its parent does not notice it before. A process that this one has started
   * itself is left to awaitEnd.
   */
  #detachLater(): void {
    const facts = threadFacts(this.thread);
    const isOwn = facts?.process === this.thread && facts.parent === process.pid;
    if (facts === undefined || (facts.hasEnded && isOwn)) return;
    if (facts.hasEnded) {
      const waitpid = this.#libc.func('int waitpid(int thread, _Out_ int *status, int options)');
      if (Number(waitpid(this.thread, new Int32Array(1), WALL | WNOHANG)) !== 0) return;
    } else if (this.#request(PTRACE_DETACH) === 0) return;
    setTimeout(() => this.#detachLater(), DETACH_POLL_MS);
  }

  /** A stop at a signal's delivery keeps the signal from the thread until `detach`. */
  #keepSignal(stop: number): void {
    if (stop < FIRST_EVENT && stop !== SIGTRAP) this.#signal ||= stop;
  }

  /** Waits for a stop. Returns its signal, or with an event one of FIRST_EVENT or more. */
  #wait(): number {
    const { thread } = this;
    const endMs = performance.now() + STOP_LIMIT_MS;
    const view = new DataView(this.#info.buffer);
    for (let polls = 0; ; polls++) {
      view.setInt32(INFO_PID, 0, true);
      // Not for its end, which waitid would take from awaitEnd.
      const failed = this.#waitid(P_PID, thread, this.#info, WSTOPPED | WALL | WNOHANG) !== 0;
      if (!failed && view.getInt32(INFO_PID, true) === thread) return view.getInt32(INFO_STATUS, true);
      if (failed || performance.now() > endMs)
        throw new InjectionError(`thread ${thread} does not stop: errno ${this.#libc.errno()}`);
      if (polls % POLLS_PER_CHECK === POLLS_PER_CHECK - 1 && threadFacts(thread)?.hasEnded !== false)
        throw new InjectionError(`thread ${thread} has ended`);
      this.#sleep(STOP_POLL_US);
    }
  }

  #expect(request: number, address = 0, data: BigUint64Array | bigint = 0n): void {
    if (this.#request(request, address, data) !== 0)
      throw new InjectionError(`ptrace request ${request} failed: errno ${this.#libc.errno()}`);
  }

  #request(request: number, address = 0, data: BigUint64Array | bigint = 0n): number {
    return Number(this.#ptrace(request, this.thread, BigInt(address), data));
  }
}
