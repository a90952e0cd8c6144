/**
 * wakeAfter: signals the eventfd of VM events several times after a program has destroyed its I/O
 * client, which it does when its VM has ended.
 *
 * Called by: foreign-ioctl.ts, after each ioctl.
 *
 * ACRN's device model ends its thread of VM events by a flag and a signal that has no handler
 * unless it has a virtio-blk device. Without one, the thread waits in epoll_wait(2) and never sees
 * the flag: the device model would not end. A signal of the eventfd without an event is harmless.
 */

import { Ioctl } from '../acrn-hsm/ioctl-codes.js';
import type { OpenFile } from './open-files.js';

/** The device model sets its flag soon after, and not by an ioctl. */
const SIGNALS_AFTER_MS = [20, 100, 500, 2000];

export function wakeAfter(code: number, file: OpenFile): void {
  if (code !== Ioctl.DESTROY_IOREQ_CLIENT) return;
  const events = file.hsm.ioctlVm?.vmEvents;
  if (events === undefined) return;
  for (const ms of SIGNALS_AFTER_MS) setTimeout(() => events.wakeUserspace(), ms).unref();
}
