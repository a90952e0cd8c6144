/**
 * InterruptedCalls: for filters whose notified calls are interrupted by any signal
 * (seccomp-filter.ts, `Listener.isInterruptible`), what can be done with the calling thread by
 * stopping it: its signals wait, or its call returns a result although it is too late for an
 * answer.
 *
 * Called by: acrn-programs/interruptible-ioctls.ts.
 * Callers must: be allowed to trace the process, as TracedThread.
 *
 * Sources: ptrace(2), sigreturn(2), asm/sigcontext.h of x86-64, "Interruption of system calls by a
 * signal handler" in signal(7).
 */

import { isAtCall, RESTART } from './injected-calls.js';
import type { Notification } from './notifications.js';
import { ProcessMemory } from './process-memory.js';
import { ARGUMENTS, INSTRUCTION_BYTES, InjectionError, Register, TracedThread } from './traced-thread.js';

/** −EINTR. */
const INTERRUPTED = word(-4n);

/** Of a stack, how far from its end the registers that a handler returns to are searched. */
const STACK_BYTES = 0x1_0000;
const STACK_PIECE = 4096;
/**
 * Words of struct ucontext, from its register di: di, si, bp, bx, dx, ax, cx, sp, ip, … The call's
 * first three arguments are in di, si and dx.
 */
const SAVED_ARGUMENTS = [0, 1, 4] as const;
const SAVED_RAX = 5;
const SAVED_RIP = 8;
/** The signals that are blocked after the handler. */
const SAVED_MASK = 24;

export class InterruptedCalls {
  readonly #memory = new ProcessMemory();

  /**
   * Blocks the signals of a thread that waits in a notified call. So none interrupts the call. It
   * begins anew, as another notification. Returns the signals that were blocked before. Throws
   * InjectionError.
   */
  protect(notification: Notification): bigint {
    const thread = new TracedThread(notification.thread);
    try {
      // A signal may have come first: then it is in the handler, or in another call.
      if (!isInterrupted(thread, notification)) throw new InjectionError(`thread ${thread.thread} has left its call`);
      return thread.blockSignals();
    } finally {
      thread.detach();
    }
  }

  /**
   * The answer to a call came too late for a notification: a signal has interrupted the call. Lets
   * it return the result nevertheless, now or when the signal's handler returns. Returns false if
   * the program has seen the interruption already, or the thread cannot be stopped.
   */
  finish(notification: Notification, result: number): boolean {
    let thread: TracedThread;
    try {
      thread = new TracedThread(notification.thread);
    } catch (error) {
      if (error instanceof InjectionError) return false;
      throw error;
    }
    try {
      if (isInterrupted(thread, notification) || isBesideCall(thread, notification)) {
        thread.returnFromCall(result);
        return true;
      }
      return this.#finishInHandler(notification, thread, result);
    } catch (error) {
      if (error instanceof InjectionError) return false;
      throw error;
    } finally {
      thread.detach();
    }
  }

  /**
   * The system has put the call's registers on the stack, where the handler's return finds them.
   * An earlier handler may have left some, too. A handler has its own signal blocked, unless it was
   * installed with SA_NODEFER, which cannot be distinguished.
   */
  #finishInHandler({ thread, args, instruction, call }: Notification, stopped: TracedThread, result: number): boolean {
    const stack = stopped.registers[Register.RSP] ?? 0n;
    const blocked = stopped.blockedSignals();
    const bytes = new Uint8Array(STACK_BYTES);
    let length = 0;
    for (; length < STACK_BYTES; length += STACK_PIECE)
      if (!this.#memory.read(thread, stack + BigInt(length), bytes.subarray(length, length + STACK_PIECE))) break;
    const words = new BigUint64Array(bytes.buffer, 0, length / 8);
    let isFound = false;
    for (let i = 0; i + SAVED_MASK < words.length; i++) {
      if (!SAVED_ARGUMENTS.every((at, number) => words[i + at] === args[number])) continue;
      if (words[i + SAVED_MASK] === blocked) continue;
      const rax = words[i + SAVED_RAX];
      const rip = words[i + SAVED_RIP];
      const ends = rax === INTERRUPTED && rip === instruction;
      if (!ends && !(rax === BigInt(call) && rip === instruction - INSTRUCTION_BYTES)) continue;
      const address = (index: number): bigint => stack + BigInt(8 * (i + index));
      isFound =
        this.#memory.write(thread, address(SAVED_RAX), bytesOf(word(BigInt(result)))) &&
        this.#memory.write(thread, address(SAVED_RIP), bytesOf(instruction));
    }
    return isFound;
  }
}

/** Whether the thread is in the call. It may be its second time. */
function isInterrupted({ registers }: TracedThread, notification: Notification): boolean {
  return registers[Register.RAX] === RESTART && isAtCall(registers, notification);
}

/** Whether the thread is about to make the call anew, or to see that it was interrupted. */
function isBesideCall({ registers }: TracedThread, notification: Notification): boolean {
  const rip = registers[Register.RIP];
  const rax = registers[Register.RAX];
  const { instruction, call } = notification;
  const isBefore = rip === instruction - INSTRUCTION_BYTES && rax === BigInt(call);
  if (!isBefore && !(rip === instruction && rax === INTERRUPTED)) return false;
  if (!ARGUMENTS.every((register, i) => registers[register] === notification.args[i])) return false;
  registers[Register.RIP] = instruction;
  return true;
}

function word(value: bigint): bigint {
  return BigInt.asUintN(64, value);
}

function bytesOf(value: bigint): Uint8Array {
  return new Uint8Array(new BigUint64Array([value]).buffer);
}
