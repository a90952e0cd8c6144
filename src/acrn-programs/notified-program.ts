/**
 * NotifiedProgram: serves a program, and all that it starts, whose seccomp filter stops their calls
 * that concern /dev/acrn_hsm (host/node/linux/seccomp-filter.ts). To them it is a device like any
 * other: nothing of the program is changed, and it may be linked statically.
 *
 * Called by: acrn-server.ts, with the listener of a filter. Threads: the Service VM's. A call that
 * waits, like ATTACH_IOREQ_CLIENT, keeps only its own thread.
 *
 * A signal interrupts a call that waits here. After the handler, which may make calls of its own,
 * the system makes the call anew, or lets it fail with EINTR, as the handler was installed
 * (sigaction(2)). The driver is not interrupted, but for ATTACH, which a signal ends with 0. So an
 * ATTACH that comes anew gets 0, and any other call that comes anew gets the result of its first
 * time.
 */

import { ExtensionIoctl, Ioctl } from '../acrn-hsm/ioctl-codes.js';
import { InjectedCalls } from '../host/node/linux/injected-calls.js';
import { Notifications, type Notification } from '../host/node/linux/notifications.js';
import { SystemCall } from '../host/node/linux/seccomp-filter.js';
import { carryMappings } from './carried-mappings.js';
import { foreignIoctl } from './foreign-ioctl.js';
import type { ForeignMapping } from './foreign-memory.js';
import type { OpenFile, OpenFiles } from './open-files.js';
import type { PathCalls } from './path-calls.js';
import type { ServiceVmFiles } from './service-vm-files.js';

const LOW_WORD = 0xffff_ffffn;
/** Calls of one thread that wait: one, and one for each signal handler that interrupted another. */
const MAX_NESTED_CALLS = 8;
/** The ioctls that make memory common. */
const MAPPING_IOCTLS: readonly number[] = [
  Ioctl.CREATE_VM,
  Ioctl.SET_MEMSEG,
  ExtensionIoctl.SETUP_ASYNCIO,
  ExtensionIoctl.SETUP_VM_EVENT_RING,
];

/** An ioctl that waits for its result, or whose result has not reached the program. */
interface WaitingCall {
  notification: Notification;
  readonly file: OpenFile;
  readonly code: number;
  readonly fd: bigint;
  readonly argument: bigint;
  /** Ends an ATTACH. */
  readonly interrupt: AbortController;
  result: { readonly value: number; readonly mappings: readonly ForeignMapping[] } | undefined;
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
  /** By thread, the newest last. */
  readonly #waiting = new Map<number, WaitingCall[]>();
  /** Threads whose last ATTACH was interrupted, and has not come anew. */
  readonly #interrupted = new Set<number>();

  constructor(options: NotifiedProgramOptions) {
    this.#options = options;
    this.#notifications = new Notifications(options.listener, (notification) => this.#serve(notification));
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
      else this.#notifications.continue(notification);
    } else if (notification.call === SystemCall.memfdCreate && machine !== undefined)
      machine.createMemory(notification, this.#notifications);
    else if (!paths.serve(notification, this.#notifications)) this.#notifications.continue(notification);
  }

  #ioctl(notification: Notification, file: OpenFile): void {
    const { thread, args } = notification;
    const [fd = 0n, longCode = 0n, argument = 0n] = args;
    const code = Number(longCode & LOW_WORD);
    const isAttach = code === Ioctl.ATTACH_IOREQ_CLIENT;
    if (!isAttach && this.#comesAnew(notification, fd, code, argument)) return;
    this.#interruptAttach(thread);
    // A call that was interrupted before it was made comes anew, and must be made once.
    if (!isAttach && !this.#notifications.isWaiting(notification)) return;
    const interrupt = new AbortController();
    if (isAttach && this.#interrupted.delete(thread)) interrupt.abort();
    const result = foreignIoctl(file, { thread, code, argument }, interrupt.signal);
    const call: WaitingCall = { notification, file, code, fd, argument, interrupt, result: undefined };
    if (typeof result === 'number') this.#finish(call, result);
    else {
      this.#wait(thread, call);
      void result.then((value) => this.#finish(call, value));
    }
  }

  /** Whether the call is the second time of one that waits. Then it gets the result of that. */
  #comesAnew(notification: Notification, fd: bigint, code: number, argument: bigint): boolean {
    const calls = this.#waiting.get(notification.thread);
    const call = calls?.find((one) => one.fd === fd && one.code === code && one.argument === argument);
    if (call === undefined) return false;
    call.notification = notification;
    if (call.result !== undefined) this.#deliver(call);
    return true;
  }

  /** A thread that makes a call has left its ATTACH for a signal handler, or forever. */
  #interruptAttach(thread: number): void {
    for (const call of this.#waiting.get(thread) ?? []) {
      if (call.code !== Ioctl.ATTACH_IOREQ_CLIENT || call.result !== undefined) continue;
      this.#interrupted.add(thread);
      call.interrupt.abort();
    }
  }

  #wait(thread: number, call: WaitingCall): void {
    const calls = this.#waiting.get(thread);
    if (calls === undefined) this.#waiting.set(thread, [call]);
    else {
      if (calls.length >= MAX_NESTED_CALLS) calls.shift();
      calls.push(call);
    }
  }

  #finish(call: WaitingCall, value: number): void {
    const mappings = MAPPING_IOCTLS.includes(call.code) ? call.file.memory.takeMappings() : [];
    call.result = { value, mappings: value < 0 ? [] : mappings };
    this.#deliver(call);
  }

  /**
   * Returns the result to the program. One that does not arrive is kept until the call comes anew.
   */
  #deliver(call: WaitingCall): void {
    const { notification, result } = call;
    if (result === undefined) return;
    const hasArrived =
      result.mappings.length === 0
        ? this.#notifications.answer(notification, result.value)
        : carryMappings(
            { ...this.#options, injected: this.#injected, notifications: this.#notifications },
            call.file.memory,
            notification,
            result,
          );
    if (hasArrived || call.code === Ioctl.ATTACH_IOREQ_CLIENT) this.#forget(call);
  }

  #forget(call: WaitingCall): void {
    const { thread } = call.notification;
    const left = this.#waiting.get(thread)?.filter((one) => one !== call) ?? [];
    if (left.length > 0) this.#waiting.set(thread, left);
    else this.#waiting.delete(thread);
  }
}

/** The two calls of every request. */
function isSlotCall(code: number): boolean {
  return code === Ioctl.ATTACH_IOREQ_CLIENT || code === Ioctl.NOTIFY_REQUEST_FINISH;
}
