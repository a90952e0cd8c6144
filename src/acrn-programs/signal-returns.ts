/**
 * SignalReturns: the returns from signal handlers of a program under a seccomp filter. A signal
 * that comes before this side has received an ioctl interrupts it: after the handler it would fail
 * with EINTR, or be made again. The driver lets no ioctl fail so, and ends ATTACH_IOREQ_CLIENT with
 * 0.
 * The same is done here when the handler returns: by then the ioctl was not made.
 *
 * Called by: notified-program.ts.
 */

import { Ioctl } from '../acrn-hsm/ioctl-codes.js';
import type { Notification, Notifications } from '../host/node/linux/notifications.js';
import { SystemCall } from '../host/node/linux/seccomp-filter.js';
import { SignalFrames, type InterruptedCall } from '../host/node/linux/signal-frames.js';
import type { OpenFiles } from './open-files.js';

const LOW_WORD = 0xffff_ffffn;
/** The driver's letter in an ioctl's code (ioctl-codes.ts). */
const TYPE_MASK = 0xff00;
const ACRN_TYPE = 0xa200;

export class SignalReturns {
  readonly #files: OpenFiles;
  readonly #notifications: Notifications;
  readonly #frames: SignalFrames;

  /** `frames`: for tests. */
  constructor(files: OpenFiles, notifications: Notifications, frames = new SignalFrames(files.memory)) {
    this.#files = files;
    this.#notifications = notifications;
    this.#frames = frames;
  }

  serve(notification: Notification): void {
    const call = this.#files.count > 0 ? this.#frames.find(notification.thread) : undefined;
    if (call === 'running') {
      // A signal has woken it. It sleeps again at once, unless it has died.
      if (this.#notifications.isWaiting(notification)) setImmediate(() => this.serve(notification));
      return;
    }
    if (call !== undefined) this.#mend(call);
    this.#notifications.continue(notification);
  }

  /** `call` is what the thread returns to: changes it so that it ends as in the driver. */
  #mend(call: InterruptedCall): void {
    // A second signal came while the return from the first one's handler waited to be received. The
    // second handler returns to that return, which must not fail. Its registers are what the first
    // handler left, perhaps the arguments of an ioctl that it has made.
    if (call.isSigreturn) {
      this.#frames.restart(call, SystemCall.rtSigreturn);
      return;
    }
    const [fd, code] = call.args.map((argument) => Number(argument & LOW_WORD)) as [number, number];
    const mayBeOld = false;
    if ((code & TYPE_MASK) !== ACRN_TYPE || this.#files.find(call.thread, fd, mayBeOld) === undefined) return;
    // An ATTACH that is about to be made is a first one, or was interrupted and is made again. The
    // frame does not show which: both end with 0.
    if (code === Ioctl.ATTACH_IOREQ_CLIENT) this.#frames.finish(call, 0n);
    else if (call.hasFailed) this.#frames.restart(call, SystemCall.ioctl);
  }
}
