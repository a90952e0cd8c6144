/**
 * NotifiedProgram: serves a program, and all that it starts, whose seccomp filter stops their calls
 * that concern /dev/acrn_hsm (host/node/linux/seccomp-filter.ts). To them it is a device like any
 * other: nothing of the program is changed, and it may be linked statically.
 *
 * Called by: acrn-server.ts, with the listener of a filter. Threads: the Service VM's. A call that
 * waits, like ATTACH_IOREQ_CLIENT, keeps only its own thread.
 *
 * The driver is not interrupted by signals, but for ATTACH, which one ends with 0. Here a signal
 * interrupts any call that waits. After the handler, which may make calls of its own, the system
 * makes the call anew, or lets it fail with EINTR, as the handler was installed (sigaction(2)). So:
 *
 * - An ATTACH that comes anew gets 0.
 * - The thread's signals are blocked during every other ioctl (InjectedCalls.protect), which comes
 *   anew for that and is made then.
 * - Stopping a thread takes longer than a frequent ioctl. Those are made at once. One that was
 *   interrupted meanwhile gets its result nevertheless (InjectedCalls.finish). A program that has
 *   seen EINTR by then gets it if it makes the same call next.
 *
 * What a signal interrupts before it came here was not made. It comes anew, or fails with EINTR.
 */

import { ExtensionIoctl, Ioctl } from '../acrn-hsm/ioctl-codes.js';
import { InjectedCalls, InjectionError } from '../host/node/linux/injected-calls.js';
import { Notifications, type Notification } from '../host/node/linux/notifications.js';
import { isAsleep, threadFacts } from '../host/node/linux/process-facts.js';
import { SystemCall } from '../host/node/linux/seccomp-filter.js';
import { Errno } from '../io-request/errno.js';
import { carryMappings, DEBUGGER_HINT } from './carried-mappings.js';
import { AttachCalls } from './attach-calls.js';
import { foreignIoctl } from './foreign-ioctl.js';
import type { ForeignMapping } from './foreign-memory.js';
import type { OpenFile, OpenFiles } from './open-files.js';
import type { PathCalls } from './path-calls.js';
import type { ServiceVmFiles } from './service-vm-files.js';

const LOW_WORD = 0xffff_ffffn;
/** The ioctls that make memory common. */
const MAPPING_IOCTLS: readonly number[] = [
  Ioctl.CREATE_VM,
  Ioctl.SET_MEMSEG,
  ExtensionIoctl.SETUP_ASYNCIO,
  ExtensionIoctl.SETUP_VM_EVENT_RING,
];
/** They are made at once. All others may wait, or make memory common. */
const FREQUENT_IOCTLS: readonly number[] = [Ioctl.NOTIFY_REQUEST_FINISH, Ioctl.SET_IRQLINE, Ioctl.INJECT_MSI];

/** Threads that are remembered. Beyond it dead ones are searched. */
const MAX_THREADS = 64;

/** An ioctl of a thread whose signals are blocked meanwhile. */
interface ProtectedCall {
  readonly file: OpenFile;
  /** The latest: a stop by job control makes the call begin anew, too. */
  notification: Notification;
  /** The signals that were blocked before. Undefined if the thread cannot be stopped. */
  readonly mask: bigint | undefined;
  isMade: boolean;
  result: { readonly value: number; readonly mappings: readonly ForeignMapping[] } | undefined;
}

interface LateResult {
  readonly notification: Notification;
  readonly file: OpenFile;
  readonly value: number;
}

export interface NotifiedProgramOptions {
  /** The descriptor of the filter's listener. */
  readonly listener: number;
  readonly files: OpenFiles;
  readonly paths: PathCalls;
  /** As in PathCalls. */
  readonly machine: ServiceVmFiles | undefined;
  /** Whether the hypervisor keeps translations of what programs write (WrittenMemory). */
  readonly tracksWrites: boolean;
  /** What is worth a line to the operator. */
  readonly report: (text: string) => void;
}

export class NotifiedProgram {
  readonly #options: NotifiedProgramOptions;
  readonly #notifications: Notifications;
  readonly #injected = new InjectedCalls();
  /** By thread. */
  readonly #protected = new Map<number, ProtectedCall>();
  /** Calls that were made, and failed with EINTR. */
  readonly #late = new Map<number, LateResult>();
  readonly #attaches: AttachCalls;

  constructor(options: NotifiedProgramOptions) {
    this.#options = options;
    this.#notifications = new Notifications(options.listener, (notification) => this.#serve(notification));
    this.#attaches = new AttachCalls(this.#notifications);
  }

  /** The program has ended, or is to find no device any more. */
  close(): void {
    this.#notifications.close();
  }

  #serve(notification: Notification): void {
    const { paths, files, machine } = this.#options;
    if (notification.call === SystemCall.ioctl) {
      const [fd = 0n, code = 0n] = notification.args;
      const isFrequent = isSlotCall(Number(code & LOW_WORD));
      const file = files.find(notification.thread, Number(fd & LOW_WORD), isFrequent);
      if (file !== undefined) this.#ioctl(notification, file);
      else this.#ioctlOfNone(notification);
    } else if (notification.call === SystemCall.memfdCreate && machine !== undefined)
      machine.createMemory(notification, this.#notifications);
    else if (!paths.serve(notification, this.#notifications)) this.#notifications.continue(notification);
  }

  #ioctl(notification: Notification, file: OpenFile): void {
    const { thread } = notification;
    const late = this.#late.get(thread);
    if (late !== undefined) {
      if (late.file === file && isSameCall(late.notification, notification)) {
        this.#answer(notification, file, late.value);
        return;
      }
      this.#late.delete(thread);
    }
    if (codeOf(notification) === Ioctl.ATTACH_IOREQ_CLIENT) {
      this.#attaches.make(notification, file);
      return;
    }
    const known = this.#protected.get(thread);
    if (known?.file === file && isSameCall(known.notification, notification)) {
      known.notification = notification;
      if (known.isMade) this.#deliver(known);
      else this.#make(known);
      return;
    }
    this.#attaches.interrupt(thread, file);
    // A call that was interrupted before it was made comes anew, and must be made once.
    if (!this.#notifications.isWaiting(notification)) return;
    if (FREQUENT_IOCTLS.includes(codeOf(notification))) {
      const result = make(notification, file);
      // These do not wait.
      if (typeof result === 'number') this.#answer(notification, file, result);
      return;
    }
    const mask = this.#protect(notification);
    const call: ProtectedCall = { file, notification, mask, isMade: false, result: undefined };
    if (mask !== undefined) this.#keep(call);
    // Where no thread can be stopped, a signal may make the call fail with EINTR.
    else if (this.#notifications.isWaiting(notification)) this.#make(call);
  }

  /** The descriptor may have been closed since the thread's signals were blocked. */
  #ioctlOfNone(notification: Notification): void {
    const known = this.#protected.get(notification.thread);
    if (known === undefined || known.isMade) this.#notifications.continue(notification);
    else this.#deliver({ ...known, notification, result: { value: Errno.EBADF, mappings: [] } });
  }

  /** Undefined if the thread cannot be stopped, or has left the call. */
  #protect(notification: Notification): bigint | undefined {
    try {
      return this.#injected.protect(notification);
    } catch (error) {
      if (error instanceof InjectionError) return undefined;
      throw error;
    }
  }

  #keep(call: ProtectedCall): void {
    forgetDead(this.#protected);
    this.#protected.set(call.notification.thread, call);
  }

  #make(call: ProtectedCall): void {
    call.isMade = true;
    const { file, notification } = call;
    const finish = (value: number): void => {
      const isMapping = MAPPING_IOCTLS.includes(codeOf(notification));
      const mappings = isMapping ? file.memory.takeMappings() : [];
      call.result = { value, mappings: value < 0 ? [] : mappings };
      this.#deliver(call);
    };
    const result = make(notification, file);
    if (typeof result === 'number') finish(result);
    else void result.then(finish);
  }

  /** Returns the result to the program, if there is one. */
  #deliver({ file, notification, result, mask }: ProtectedCall): void {
    if (result === undefined) return;
    const { report } = this.#options;
    if (mask === undefined) {
      // No thread can be stopped, so nothing can be mapped.
      if (result.mappings.length > 0)
        report(`memory cannot be mapped into process ${notification.thread}: ${DEBUGGER_HINT}`);
      this.#answer(notification, file, result.mappings.length > 0 ? Errno.ENOMEM : result.value);
      return;
    }
    const options = { ...this.#options, injected: this.#injected, notifications: this.#notifications };
    const { thread } = notification;
    if (carryMappings(options, file.memory, notification, { ...result, mask }) || threadFacts(thread) === undefined)
      this.#protected.delete(thread);
  }

  /** A signal may have interrupted the call. */
  #answer(notification: Notification, file: OpenFile, value: number): void {
    const { thread } = notification;
    this.#late.delete(thread);
    // A thread that was woken by a signal loses an answer that comes before it has a processor.
    if (isAsleep(thread) && this.#notifications.answer(notification, value)) return;
    if (this.#injected.finish(notification, value) || this.#notifications.answer(notification, value)) return;
    forgetDead(this.#late);
    this.#late.set(thread, { notification, file, value });
  }
}

function make(notification: Notification, file: OpenFile): number | Promise<number> {
  const { thread, args } = notification;
  // None of these is interrupted.
  return foreignIoctl(
    file,
    { thread, code: codeOf(notification), argument: args[2] ?? 0n },
    new AbortController().signal,
  );
}

function isSameCall(one: Notification, other: Notification): boolean {
  return one.instruction === other.instruction && one.args.every((value, i) => i > 2 || value === other.args[i]);
}

/** Removes dead threads from a map that has become large. */
function forgetDead(threads: Map<number, unknown>): void {
  if (threads.size < MAX_THREADS) return;
  for (const thread of threads.keys()) if (threadFacts(thread) === undefined) threads.delete(thread);
}

function codeOf({ args }: Notification): number {
  return Number((args[1] ?? 0n) & LOW_WORD);
}

/** The two calls of every request. */
function isSlotCall(code: number): boolean {
  return code === Ioctl.ATTACH_IOREQ_CLIENT || code === Ioctl.NOTIFY_REQUEST_FINISH;
}
