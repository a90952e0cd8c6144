/**
 * InjectedCalls: makes a thread of another process execute system calls, while it waits in a
 * notified one (notifications.ts), and lets that one return a result. So another process can be
 * made to map memory of this one.
 *
 * Called by: acrn-programs/carried-mappings.ts, and the self-test in acrn-programs/support.ts.
 * Callers must: be allowed to trace the process, which no other may trace at that time: a debugger
 * excludes this.
 *
 * The thread is stopped for some tens of microseconds. Its signals stay blocked meanwhile, so that
 * none is lost and no handler runs between the calls. Its other threads run on.
 *
 * Sources: ptrace(2), sys/user.h and the calling convention of x86-64.
 */

import type { Notification } from './notifications.js';
import { loadLibc, type Libc, type NativeFunction } from './libc.js';

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
const WALL = 0x4000_0000;
const SIGTRAP = 5;
const SYSCALL_STOP = SIGTRAP | 0x80;
const SIGSET_BYTES = 8;

/** struct user_regs_struct: 27 words, of which these are used. */
const REGISTERS = 27;
const RAX = 10;
const ORIG_RAX = 15;
const RIP = 16;
/** Arguments of a system call, in order: rdi, rsi, rdx, r10, r8, r9. */
const ARGUMENTS = [14, 13, 12, 7, 9, 8] as const;
/** `syscall`, 0F 05, as the low half of a little-endian word. */
const SYSCALL_INSTRUCTION = 0x050fn;
const INSTRUCTION_BYTES = 2n;
/** −ERESTARTSYS: the call was interrupted, and is made anew unless the registers change. */
const RESTART = BigInt.asUintN(64, -512n);
/** In ORIG_RAX: the thread is in no call that could be made anew. */
const NO_CALL = 0xffff_ffff_ffff_ffffn;
const ALL_SIGNALS = 0xffff_ffff_ffff_ffffn;

/** Limit for a stop that was asked for. Beyond it the thread is stuck in the kernel. */
const STOP_LIMIT_MS = 1000;
const STOP_POLL_US = 20;

export type Call = readonly [number: number, ...args: (bigint | number)[]];

/** The thread ended, is traced by another process, or may not be traced. */
export class InjectionError extends Error {}

export class InjectedCalls {
  readonly #libc: Libc;
  readonly #ptrace: NativeFunction;
  readonly #waitpid: NativeFunction;
  readonly #status = new Int32Array(1);
  readonly #sleep: NativeFunction;
  /** A signal that stopped the thread. It is delivered at the end of `run`. */
  #signal = 0;

  constructor(libc: Libc | undefined = loadLibc()) {
    if (libc === undefined) throw new Error('koffi is not installed, or this is not Linux');
    this.#libc = libc;
    this.#ptrace = libc.func('int64_t ptrace(int64_t request, int thread, int64_t address, void *data)');
    this.#sleep = libc.func('int usleep(uint microseconds)');
    this.#waitpid = libc.func('int waitpid(int thread, _Out_ int *status, int options)');
  }

  /**
   * Stops the thread that waits in a notified call, executes `work` with a function that makes it
   * execute calls, and lets the notified call return what `work` returns. A call's result is −errno
   * if it failed.
   *
   * Throws InjectionError, and what `work` throws. If the thread could not be traced, it still
   * waits in its call. If it was stopped, it makes its call anew, as another notification, unless
   * it has ended or is stuck in the kernel. Calls that it has executed are not undone.
   */
  run({ thread, call, args }: Notification, work: (call: (...call: Call) => bigint) => number): void {
    if (this.#request(PTRACE_SEIZE, thread, 0, BigInt(PTRACE_O_TRACESYSGOOD)) !== 0)
      throw new InjectionError(`thread ${thread} cannot be traced: errno ${this.#libc.errno()}`);
    this.#signal = 0;
    let mask: BigUint64Array | undefined;
    let anew: BigUint64Array | undefined;
    try {
      this.#expect(PTRACE_INTERRUPT, thread);
      const stop = this.#wait(thread);
      // A signal that came first: it is delivered at the end.
      if (stop !== SIGTRAP) this.#signal = stop;
      const blocked = new BigUint64Array(1);
      this.#expect(PTRACE_GETSIGMASK, thread, SIGSET_BYTES, blocked);
      mask = blocked;
      this.#expect(PTRACE_SETSIGMASK, thread, SIGSET_BYTES, new BigUint64Array([ALL_SIGNALS]));
      const registers = new BigUint64Array(REGISTERS);
      this.#expect(PTRACE_GETREGS, thread, 0, registers);
      const at = (registers[RIP] as bigint) - INSTRUCTION_BYTES;
      // A signal may have come first: then it is in the handler, or in another call.
      const isInCall =
        registers[ORIG_RAX] === BigInt(call) &&
        registers[RAX] === RESTART &&
        ARGUMENTS.every((register, i) => registers[register] === args[i]);
      if (!isInCall || !this.#isSyscall(thread, at)) throw new InjectionError(`thread ${thread} has left its call`);
      anew = withCall(registers, at, [call]);
      const result = work((...call) => this.#execute(thread, registers, at, call));
      registers[RAX] = BigInt.asUintN(64, BigInt(result));
      registers[ORIG_RAX] = NO_CALL;
      this.#expect(PTRACE_SETREGS, thread, 0, registers);
      anew = undefined;
    } finally {
      // A step has failed. The thread may have the registers of a call that it was made to execute.
      if (anew !== undefined) this.#request(PTRACE_SETREGS, thread, 0, anew);
      if (mask !== undefined) this.#request(PTRACE_SETSIGMASK, thread, SIGSET_BYTES, mask);
      this.#request(PTRACE_DETACH, thread, 0, BigInt(this.#signal));
    }
  }

  #execute(thread: number, registers: BigUint64Array, at: bigint, call: Call): bigint {
    const changed = withCall(registers, at, call);
    this.#expect(PTRACE_SETREGS, thread, 0, changed);
    // Into the call, and out of it.
    for (let stops = 0; stops < 2; stops++) {
      this.#expect(PTRACE_SYSCALL, thread);
      const stop = this.#wait(thread);
      // The interrupt is reported again if a signal came before it.
      if (stop === SIGTRAP) stops--;
      else if (stop !== SYSCALL_STOP) {
        // SIGSTOP, which cannot be blocked.
        this.#signal ||= stop;
        throw new InjectionError(`thread ${thread} stopped by signal ${stop}`);
      }
    }
    this.#expect(PTRACE_GETREGS, thread, 0, changed);
    return BigInt.asIntN(64, changed[RAX] as bigint);
  }

  #isSyscall(thread: number, at: bigint): boolean {
    // The C library's wrapper returns the word, −1 also for a failure: then it is no instruction.
    const word = BigInt(this.#ptrace(PTRACE_PEEKTEXT, thread, BigInt.asIntN(64, at), null));
    return (BigInt.asUintN(64, word) & 0xffffn) === SYSCALL_INSTRUCTION;
  }

  /** Waits for a stop. Returns its signal. */
  #wait(thread: number): number {
    const endMs = performance.now() + STOP_LIMIT_MS;
    for (;;) {
      const waited = this.#waitpid(thread, this.#status, WALL | WNOHANG);
      const status = this.#status[0] as number;
      // WIFSTOPPED and WSTOPSIG.
      if (waited === thread) {
        if ((status & 0xff) === 0x7f) return (status >> 8) & 0xff;
        throw new InjectionError(`thread ${thread} has ended`);
      }
      if (waited !== 0 || performance.now() > endMs)
        throw new InjectionError(`thread ${thread} does not stop: errno ${this.#libc.errno()}`);
      this.#sleep(STOP_POLL_US);
    }
  }

  #expect(request: number, thread: number, address = 0, data: BigUint64Array | bigint = 0n): void {
    if (this.#request(request, thread, address, data) !== 0)
      throw new InjectionError(`ptrace request ${request} failed: errno ${this.#libc.errno()}`);
  }

  #request(request: number, thread: number, address = 0, data: BigUint64Array | bigint = 0n): number {
    return Number(this.#ptrace(request, thread, BigInt(address), data));
  }
}

/** `registers` to execute the instruction at `at` as this call. Arguments not given stay. */
function withCall(registers: BigUint64Array, at: bigint, [number, ...args]: Call): BigUint64Array {
  const changed = registers.slice();
  changed[RIP] = at;
  changed[RAX] = BigInt(number);
  changed[ORIG_RAX] = NO_CALL;
  args.forEach((value, i) => (changed[ARGUMENTS[i] as number] = BigInt.asUintN(64, BigInt(value))));
  return changed;
}
