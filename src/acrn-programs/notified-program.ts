/**
 * NotifiedProgram: serves a program, and all that it starts, whose seccomp filter stops their calls
 * that concern /dev/acrn_hsm (host/node/linux/seccomp-filter.ts). To them /dev/acrn_hsm is a device
 * like any other: the program is not changed, and it may be linked statically.
 *
 * Called by: acrn-server.ts, with the listener of a filter.
 * Threads: the Service VM's. A call that waits, like ATTACH_IOREQ_CLIENT, blocks only the thread of
 * the program that makes it.
 */

import { Ioctl } from '../acrn-hsm/ioctl-codes.js';
import { Notifications, type Notification } from '../host/node/linux/notifications.js';
import { SystemCall, type Listener } from '../host/node/linux/seccomp-filter.js';
import type { Report } from './carried-mappings.js';
import { InterruptibleIoctls } from './interruptible-ioctls.js';
import type { OpenFiles } from './open-files.js';
import type { PathCalls } from './path-calls.js';
import { codeOf, ProgramIoctls, type IoctlCalls } from './program-ioctls.js';
import { SignalReturns } from './signal-returns.js';
import type { ServiceVmFiles } from './service-vm-files.js';

/** The bits of an argument that are a descriptor. The others are arbitrary. */
const LOW_WORD = 0xffff_ffffn;

export interface NotifiedProgramOptions {
  readonly listener: Listener;
  readonly files: OpenFiles;
  readonly paths: PathCalls;
  /** As in PathCalls. */
  readonly machine: ServiceVmFiles | undefined;
  /** Whether the hypervisor keeps translations of what programs write (WrittenMemory). */
  readonly tracksWrites: boolean;
  readonly report: Report;
}

export class NotifiedProgram {
  readonly #options: NotifiedProgramOptions;
  readonly #notifications: Notifications;
  readonly #ioctls: IoctlCalls;
  readonly #signals: SignalReturns;

  constructor(options: NotifiedProgramOptions) {
    this.#options = options;
    const { listener, tracksWrites, report } = options;
    const notifications = new Notifications(listener.fd, (notification) => this.#serve(notification));
    this.#notifications = notifications;
    const Calls = listener.isInterruptible ? InterruptibleIoctls : ProgramIoctls;
    this.#ioctls = new Calls({ notifications, tracksWrites, report });
    this.#signals = new SignalReturns(options.files, notifications);
  }

  /** Closes the listener. Calls of the program that the filter stops fail from then on. */
  close(): void {
    this.#notifications.close();
  }

  #serve(notification: Notification): void {
    const { paths, files, machine } = this.#options;
    if (notification.call === SystemCall.ioctl) {
      const fd = Number((notification.args[0] ?? 0n) & LOW_WORD);
      // The two calls of each request are frequent: they do not look up the descriptor each time.
      const mayBeOld = isSlotCall(codeOf(notification));
      const file = files.find(notification.thread, fd, mayBeOld);
      if (file !== undefined) this.#ioctls.make(notification, file);
      else this.#ioctls.makeOther(notification);
    } else if (notification.call === SystemCall.rtSigreturn) this.#signals.serve(notification);
    else if (notification.call === SystemCall.memfdCreate && machine !== undefined)
      machine.createMemory(notification, this.#notifications);
    else if (!paths.serve(notification, this.#notifications)) this.#notifications.continue(notification);
  }
}

/** The two calls of every request. */
function isSlotCall(code: number): boolean {
  return code === Ioctl.ATTACH_IOREQ_CLIENT || code === Ioctl.NOTIFY_REQUEST_FINISH;
}
