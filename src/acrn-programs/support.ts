/**
 * Whether programs of other processes can be served on this machine.
 *
 * Called by: `upcall hsm`, which needs `programSupport` or `shimSupport`, and `upcall doctor`,
 * which runs the self-test. Both call `canTrackWrites`.
 */

import { release } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { injectCalls } from '../host/node/linux/injected-calls.js';
import { closeDescriptor, socketPair } from '../host/node/linux/descriptors.js';
import { isLinuxAtLeast } from '../host/node/linux/kernel-version.js';
import { loadLibc } from '../host/node/linux/libc.js';
import { Notifications, type Notification } from '../host/node/linux/notifications.js';
import { MemoryFiles } from '../host/node/linux/memory-files.js';
import { ProcessMemory } from '../host/node/linux/process-memory.js';
import { SystemCall } from '../host/node/linux/seccomp-filter.js';
import { USERFAULTFD_FLAGS, WrittenPages } from '../host/node/linux/written-pages.js';
import { errorText } from '../io-request/error-text.js';
import { PAGE_BYTES } from '../io-request/layout.js';
import { DEVICE_PATH } from './path-calls.js';
import { startProgram } from './started-program.js';

export type ProgramSupport =
  { readonly available: true } | { readonly available: false; readonly reason: string; readonly remedy: string };

/**
 * The first Linux that gives a descriptor as the result of a notified call (seccomp_unotify(2)).
 */
const LEAST_LINUX = [5, 14] as const;
const SELF_TEST_MS = 5000;
/** The call that the self-test makes its program execute: getpid(2) of x86-64. */
const GETPID = 39;

/**
 * Whether stores of programs can be noticed (WrittenMemory): tried with memory of this process.
 * Where they cannot, a hypervisor must keep no translations of the guest's code.
 */
export function canTrackWrites(): boolean {
  const libc = loadLibc();
  if (libc === undefined) return false;
  const files = new MemoryFiles();
  const page = files.allocatePage('self-test');
  try {
    const call = libc.func('int64_t syscall(int64_t number, int64_t a, int64_t b, int64_t c)');
    const userfault = Number(call(SystemCall.userfaultfd, USERFAULTFD_FLAGS, 0, 0));
    if (userfault < 0) return false;
    const pages = new WrittenPages(process.pid, userfault);
    const address = files.addressOf(page);
    pages.add(address, PAGE_BYTES);
    const canScan = pages.scan(address, PAGE_BYTES, () => undefined);
    pages.close();
    return canScan;
  } catch {
    return false;
  } finally {
    files.release(page);
  }
}

/** What is known without trying, for programs with the shim (shimmed-program.ts). */
export function shimSupport(): ProgramSupport {
  if (process.platform !== 'linux')
    return no(`programs need Linux, this is ${process.platform}`, 'Run upcall hsm in a virtual machine with Linux');
  if (loadLibc() === undefined)
    return no('the optional package koffi is not installed', 'Install it: npm install koffi');
  return { available: true };
}

/** What is known without trying, for programs under a filter. */
export function programSupport(): ProgramSupport {
  const support = shimSupport();
  if (!support.available) return support;
  if (process.arch !== 'x64')
    return no(`programs need an x86-64 processor, this is ${process.arch}`, 'Use upcall hsm --shim');
  if (!isLinuxAtLeast(LEAST_LINUX))
    return no(
      `programs need Linux ${LEAST_LINUX.join('.')}, this is ${release()}`,
      'Use upcall hsm --shim, or a newer kernel',
    );
  return { available: true };
}

/**
 * Starts a program that opens the device, and does with its call all that serving one needs:
 * notification, its memory, a descriptor for it, a call that it is made to execute.
 */
export async function selfTest(): Promise<ProgramSupport> {
  const support = programSupport();
  if (!support.available) return support;
  const seen = new Set<string>();
  let notifications: Notifications | undefined;
  try {
    const program = await startProgram(['sh', '-c', `exec 3<>${DEVICE_PATH}`], (listener) => {
      notifications = new Notifications(listener.fd, (call) => serve(call, notifications as Notifications, seen));
    });
    const end = await Promise.race([program.ended, sleep(SELF_TEST_MS, undefined, { ref: false })]);
    if (end === undefined) process.kill(program.pid, 'SIGKILL');
    if (seen.has('injected') && end !== undefined && 'status' in end && end.status === 0) return { available: true };
    const missing = ['notified', 'memory', 'descriptor', 'injected'].find((step) => !seen.has(step)) ?? 'result';
    return no(`the self-test stopped at this step: ${missing}`, REMEDIES.get(missing) ?? 'Use upcall hsm --shim');
  } catch (error) {
    return no(errorText(error).message, 'Use upcall hsm --shim');
  } finally {
    notifications?.close();
  }
}

/** By the step that was not seen. */
const REMEDIES: ReadonlyMap<string, string> = new Map([
  ['memory', 'Allow process_vm_readv and ptrace: docker run --cap-add SYS_PTRACE; or use upcall hsm --shim'],
  ['injected', 'Allow ptrace: docker run --cap-add SYS_PTRACE; or use upcall hsm --shim'],
]);

function serve(call: Notification, notifications: Notifications, seen: Set<string>): void {
  seen.add('notified');
  const path = call.call === SystemCall.openat ? new ProcessMemory().readText(call.thread, call.args[1] ?? 0n) : '';
  if (path !== '' && path !== undefined) seen.add('memory');
  if (path !== DEVICE_PATH) {
    notifications.continue(call);
    return;
  }
  const [own, given] = socketPair();
  const fd = notifications.give(call, given.fd);
  if (fd >= 0) seen.add('descriptor');
  try {
    // The shell gets its descriptor in any case. `seen` has what worked.
    injectCalls(call, { notifications, failure: fd }, (execute) => {
      if (Number(execute(GETPID)) > 0) seen.add('injected');
      return fd;
    });
  } catch {
    notifications.answer(call, fd);
  }
  closeDescriptor(own.fd);
  closeDescriptor(given.fd);
}

function no(reason: string, remedy: string): ProgramSupport {
  return { available: false, reason, remedy };
}
