/**
 * InterruptedCalls: stops a thread whose notified call any signal interrupts (seccomp-filter.ts,
 * `Listener.isInterruptible`). Then its signals can be blocked, or its call can return a result
 * although it is too late for an answer.
 *
 * Called by: acrn-programs/interruptible-ioctls.ts.
 * Callers must: be allowed to trace the process, as for a TracedThread.
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

/** The registers that a handler returns to are searched this far above its stack pointer. */
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
   * Blocks all signals of a thread that waits in a notified call, except SIGKILL, which ends it,
   * and SIGSTOP, which makes the call begin anew. The stop by ptrace(2) that this needs does so as
   * well: the call comes as another notification. Returns the signals that were blocked before, bit
   * N−1 for signal N. Throws InjectionError if the thread has left the call or cannot be stopped.
   */
  protect(notification: Notification): bigint {
    const thread = new TracedThread(notification.thread);
    try {
      // A signal may have come first: then the thread is in its handler, or in another call.
      if (!isInterrupted(thread, notification)) throw new InjectionError(`thread ${thread.thread} has left its call`);
      return thread.blockSignals();
    } finally {
      thread.detach();
    }
  }

  /**
   * The answer to a call came too late for a notification: a signal has interrupted the call. Lets
   * it return the result nevertheless, now or when the signal's handler returns. Returns false if
   * the interrupted call was not found, because the program has seen the interruption already, or
   * if the thread cannot be stopped. A true result can be wrong: see #finishInHandler.
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
        thread.registers[Register.RIP] = notification.instruction;
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
   * An earlier handler may have left a frame of the same call there, which is dead. Such a frame
   * has the mask that the thread has outside of handlers, and a handler has its own signal blocked.
   * So a frame with the current mask is skipped: the thread is in no handler, or in one that was
   * installed with SA_NODEFER, which cannot be distinguished.
   *
   * In a handler a dead frame cannot be distinguished from the live one, which may be on either
   * side of it. So all are changed. Nothing returns to a dead one, and a handler at the same depth
   * of the stack overwrites it. If only a dead one is found (the live one has the current mask or
   * is beyond STACK_BYTES, or the handler is that of a later signal), the result is true although
   * the program sees EINTR or makes the call anew. Then the call is made twice, as in the race that
   * interruptible-ioctls.ts names. To keep the result for the next such call, as after a false
   * result, would be worse: if the frame was live, a call that the program needs would not be made.
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
      const isChanged =
        this.#memory.write(thread, address(SAVED_RAX), bytesOf(word(BigInt(result)))) &&
        this.#memory.write(thread, address(SAVED_RIP), bytesOf(instruction));
      // Any of the changed frames may be the live one.
      if (isChanged) isFound = true;
    }
    return isFound;
  }
}

/** Whether the thread is in the call, which it may have made anew meanwhile. */
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
  return ARGUMENTS.every((register, i) => registers[register] === notification.args[i]);
}

function word(value: bigint): bigint {
  return BigInt.asUintN(64, value);
}

function bytesOf(value: bigint): Uint8Array {
  return new Uint8Array(new BigUint64Array([value]).buffer);
}
