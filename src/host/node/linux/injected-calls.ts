/**
 * InjectedCalls: what can be done with a thread that waits in a notified call (notifications.ts),
 * or was interrupted in one, by stopping it (traced-thread.ts): it executes calls, which can map
 * memory of this process; its signals wait; its call returns a result although it is too late for
 * an answer.
 *
 * Called by: acrn-programs/carried-mappings.ts, acrn-programs/notified-program.ts, and the
 * self-test in acrn-programs/support.ts.
 * Callers must: be allowed to trace the process, as TracedThread.
 *
 * Sources: ptrace(2), sigreturn(2), asm/sigcontext.h of x86-64, "Interruption of system calls by a
 * signal handler" in signal(7).
 */

import type { Notification } from './notifications.js';
import { ProcessMemory } from './process-memory.js';
import {
  ARGUMENTS,
  INSTRUCTION_BYTES,
  InjectionError,
  NO_CALL,
  Register,
  TracedThread,
  type Call,
} from './traced-thread.js';

export { InjectionError, type Call } from './traced-thread.js';

/** −ERESTARTSYS: the call was interrupted, and is made anew unless the registers change. */
const RESTART = word(-512n);
const INTERRUPTED = word(-4n);

/** Of a stack, how far from its end the registers that a handler returns to are searched. */
const STACK_BYTES = 0x1_0000;
const STACK_PIECE = 4096;
/** Words of struct ucontext, from its register di: di, si, bp, bx, dx, ax, cx, sp, ip, … */
const SAVED_ARGUMENTS = [0, 1, 4] as const;
const SAVED_RAX = 5;
const SAVED_RIP = 8;
/** The signals that are blocked after the handler. */
const SAVED_MASK = 24;

export class InjectedCalls {
  readonly #memory = new ProcessMemory();

  /**
   * Blocks the signals of a thread that waits in a notified call. So none interrupts the call. It
   * begins anew, as another notification. Returns the signals that were blocked before, for `run`.
   * Throws InjectionError.
   */
  protect(notification: Notification): bigint {
    return this.#stopped(notification, (thread) => thread.blockSignals());
  }

  /**
   * Stops the thread that waits in a notified call, executes `work` with a function that makes it
   * execute calls, and lets the notified call return what `work` returns. A call's result is −errno
   * if it failed. `mask`: the signals that are blocked from then on. Default: as before.
   *
   * Throws InjectionError, and what `work` throws. If the thread could not be traced, it still
   * waits in its call. If it was stopped, it makes its call anew, as another notification, unless
   * it has ended or is stuck in the kernel. Calls that it has executed are not undone.
   */
  run(notification: Notification, work: (call: (...call: Call) => bigint) => number, mask?: bigint): void {
    this.#stopped(notification, (thread) => {
      const at = notification.instruction - INSTRUCTION_BYTES;
      if (!thread.isSyscall(at)) throw new InjectionError(`thread ${thread.thread} is in no call that is known`);
      const before = thread.blockSignals();
      let after = before;
      try {
        returnFrom(
          thread,
          work((...call) => thread.execute(at, call)),
        );
        after = mask ?? before;
      } catch (error) {
        // The thread may have the registers of a call that it was made to execute.
        thread.makeCall(at, [notification.call]);
        throw error;
      } finally {
        thread.restoreSignals(after);
      }
    });
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
      const { registers } = thread;
      if (isInCall(thread, notification) || isBesideCall(registers, notification)) {
        returnFrom(thread, result);
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

  #stopped<Result>(notification: Notification, work: (thread: TracedThread) => Result): Result {
    const thread = new TracedThread(notification.thread);
    try {
      // A signal may have come first: then it is in the handler, or in another call.
      if (!isInCall(thread, notification)) throw new InjectionError(`thread ${thread.thread} has left its call`);
      return work(thread);
    } finally {
      thread.detach();
    }
  }
}

function returnFrom(thread: TracedThread, result: number): void {
  const { registers } = thread;
  registers[Register.RAX] = word(BigInt(result));
  registers[Register.ORIG_RAX] = NO_CALL;
  thread.setRegisters();
}

/** Whether the thread is in the call. It may be its second time. */
function isInCall({ registers }: TracedThread, notification: Notification): boolean {
  return (
    registers[Register.ORIG_RAX] === BigInt(notification.call) &&
    registers[Register.RAX] === RESTART &&
    registers[Register.RIP] === notification.instruction &&
    hasArguments(registers, notification)
  );
}

/** Whether the thread is about to make the call anew, or to see that it was interrupted. */
function isBesideCall(registers: BigUint64Array, notification: Notification): boolean {
  const rip = registers[Register.RIP];
  const rax = registers[Register.RAX];
  const { instruction, call } = notification;
  const isBefore = rip === instruction - INSTRUCTION_BYTES && rax === BigInt(call);
  if (!isBefore && !(rip === instruction && rax === INTERRUPTED)) return false;
  if (!hasArguments(registers, notification)) return false;
  registers[Register.RIP] = instruction;
  return true;
}

function hasArguments(registers: BigUint64Array, { args }: Notification): boolean {
  return ARGUMENTS.every((register, i) => registers[register] === args[i]);
}

function word(value: bigint): bigint {
  return BigInt.asUintN(64, value);
}

function bytesOf(value: bigint): Uint8Array {
  return new Uint8Array(new BigUint64Array([value]).buffer);
}
