/**
 * foreignIoctl: makes an ioctl of a thread of another process.
 *
 * Called by: both front ends, program-ioctls.ts and shim-connection.ts.
 */

import { Ioctl } from '../acrn-hsm/ioctl-codes.js';
import type { InterruptSignal } from '../acrn-hsm/userspace-client.js';
import { wakeAfter } from './event-wakeups.js';
import type { OpenFile } from './open-files.js';

export interface ForeignCall {
  /** The thread, or its process. */
  readonly thread: number;
  readonly code: number;
  readonly argument: bigint;
}

/** Returns what HsmFile.ioctl returns. `interrupt` ends an ATTACH. */
export function foreignIoctl(
  file: OpenFile,
  { thread, code, argument }: ForeignCall,
  interrupt?: InterruptSignal,
): number | Promise<number> {
  file.memory.pid = thread;
  // Program and VM share the memory. The hypervisor drops its translations of guest code that the
  // program has written to, before the guest runs on. ATTACH lets no guest run on.
  if (code === Ioctl.START_VM) file.memory.guestRuns();
  if (code !== Ioctl.ATTACH_IOREQ_CLIENT) file.memory.collectWritten();
  const result =
    code === Ioctl.NOTIFY_REQUEST_FINISH ? finish(file, argument) : file.hsm.ioctl(code, argument, interrupt);
  // Of acrn-dm's threads (event-wakeups.ts).
  wakeAfter(code, file);
  return code === Ioctl.PAUSE_VM ? afterPause(file, result) : result;
}

/**
 * The Service VM's thread only passes the answer on: it parks when it has answered the call, too,
 * while the program goes on. So the vCPU is woken on this thread's CPU.
 */
function finish({ hsm, waker }: OpenFile, argument: bigint): number | Promise<number> {
  if (waker === undefined) return hsm.ioctl(Ioctl.NOTIFY_REQUEST_FINISH, argument);
  waker.parksNext = true;
  try {
    return hsm.ioctl(Ioctl.NOTIFY_REQUEST_FINISH, argument);
  } finally {
    waker.parksNext = false;
  }
}

/**
 * A device model clears the RAM of a VM that has ended, or loads a kernel anew: each page would be
 * two page faults.
 */
async function afterPause(file: OpenFile, result: number | Promise<number>): Promise<number> {
  const value = await result;
  if (value === 0) file.memory.guestPaused();
  return value;
}
