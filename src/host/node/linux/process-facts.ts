/**
 * Facts about other processes, from proc(5).
 *
 * Called by: acrn-programs/; signal-frames.ts and traced-thread.ts here; cli/program-signals.ts.
 */

import { closeSync, openSync, readFileSync } from 'node:fs';
import { closeDescriptor } from './descriptors.js';
import { requireLibc, type NativeFunction } from './libc.js';

const O_CLOEXEC = 0o200_0000;
const LETTER_D = 0x44;
// Bytes that are read of /proc/N/stat and /proc/N/syscall.
const STAT_BYTES = 512;
const SYSCALL_BYTES = 256;
/** Index of the stack pointer behind the number of the call. */
const SYSCALL_STACK = 6;
/** A chain of parents that is longer is taken as ended. */
const MAX_ANCESTORS = 64;
// Of awaitSleep.
const POLL_US = 20;
const MAX_POLLS = 500;
const CLOSING_PARENTHESIS = 0x29;
const SPACE = 0x20;
/** Of `minflt`, counted from the end of the program's name. */
const MINOR_FAULTS = 8;

/** The process of a thread. Undefined if it has ended. */
export function processOf(thread: number): number | undefined {
  return threadFacts(thread)?.process;
}

export interface ThreadFacts {
  readonly process: number;
  /** The process that started this one. */
  readonly parent: number;
  /** The thread has ended and was not waited for yet (a zombie). */
  readonly hasEnded: boolean;
}

/** Undefined if the thread has ended. */
export function threadFacts(thread: number): ThreadFacts | undefined {
  const status = statusOf(thread);
  if (status === undefined) return undefined;
  const word = (name: string): string => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1] ?? '';
  return { process: Number(word('Tgid')), parent: Number(word('PPid')), hasEnded: /[ZX]/.test(word('State')) };
}

/** Undefined if the thread has ended. */
function statusOf(thread: number): string | undefined {
  try {
    return readFileSync(`/proc/${thread}/status`, 'latin1');
  } catch {
    return undefined;
  }
}

/**
 * Whether `ancestor` is `process` or one of its ancestors. The chain breaks at one that has ended:
 * the system gives its children another parent.
 */
export function isDescendant(process: number, ancestor: number): boolean {
  let one = process;
  for (let i = 0; i < MAX_ANCESTORS && one > 1; i++) {
    if (one === ancestor) return true;
    one = threadFacts(one)?.parent ?? 0;
  }
  return false;
}

/** The signals that are pending for the thread or its process: bit N−1 for signal N. */
export function pendingSignals(thread: number): bigint {
  const status = statusOf(thread) ?? '';
  return [...status.matchAll(/^(?:SigPnd|ShdPnd):\s*([0-9a-f]+)$/gm)].reduce(
    (all, [, bits]) => all | BigInt(`0x${bits}`),
    0n,
  );
}

/**
 * The system call in which the thread sleeps, and its stack pointer. `running` if it does not
 * sleep, also if a signal has woken it and it has no processor yet. Undefined if the system does
 * not say. Takes some microseconds.
 */
export function threadSyscall(
  thread: number,
): { readonly number: number; readonly stack: bigint } | 'running' | undefined {
  const bytes = Buffer.alloc(SYSCALL_BYTES);
  // Number, six arguments, stack pointer and instruction pointer.
  const [number = '', ...words] = bytes.toString('latin1', 0, readSome(`/proc/${thread}/syscall`, bytes)).split(' ');
  if (number.startsWith('running')) return 'running';
  const stack = words[SYSCALL_STACK];
  return stack === undefined ? undefined : { number: Number(number), stack: BigInt(stack) };
}

/**
 * Returns when the thread sleeps in a system call or has ended, or after some tens of milliseconds.
 * Blocks this thread meanwhile: the other one is usually a few microseconds from its sleep.
 */
export function awaitSleep(thread: number): void {
  const sleep = requireLibc().func('int usleep(uint microseconds)');
  for (let polls = 0; polls < MAX_POLLS && threadSyscall(thread) === 'running'; polls++) sleep(POLL_US);
}

/**
 * Whether the thread waits and only a fatal signal wakes it (state D). A thread in a notified call
 * that its supervisor has received (seccomp-filter.ts, `Listener`) waits that way as soon as a
 * signal arrives, or job control or a debugger stops it. Takes some microseconds.
 */
export function isUninterruptible(thread: number): boolean {
  const bytes = new Uint8Array(STAT_BYTES);
  // The path of a thread: that of a process would sum up all threads.
  const length = readSome(`/proc/${thread}/task/${thread}/stat`, bytes);
  return bytes[bytes.subarray(0, length).lastIndexOf(CLOSING_PARENTHESIS) + 2] === LETTER_D;
}

/** Returns how many bytes of a short file it has read, 0 also if there is no such file. */
function readSome(path: string, bytes: Uint8Array): number {
  const libc = requireLibc();
  const fd = Number(libc.func('int open(const char *path, int flags)')(path, O_CLOEXEC));
  if (fd < 0) return 0;
  const length = Number(
    libc.func('int64_t read(int fd, _Out_ uint8_t *buffer, size_t bytes)')(fd, bytes, bytes.length),
  );
  closeDescriptor(fd);
  return Math.max(0, length);
}

/**
 * MinorFaults: how many page faults all threads of a process have had that needed no disk. A few
 * microseconds each time.
 */
export class MinorFaults {
  readonly #fd: number;
  readonly #pread: NativeFunction;
  readonly #bytes = new Uint8Array(STAT_BYTES);

  /** Throws if the process has ended. */
  constructor(pid: number) {
    this.#pread = requireLibc().func('int64_t pread(int fd, _Out_ uint8_t *bytes, size_t count, int64_t offset)');
    this.#fd = openSync(`/proc/${pid}/stat`, 'r');
  }

  /** NaN if the process has ended. */
  get count(): number {
    const length = Number(this.#pread(this.#fd, this.#bytes, STAT_BYTES, 0));
    let at = this.#bytes.subarray(0, Math.max(0, length)).lastIndexOf(CLOSING_PARENTHESIS);
    if (at < 0) return NaN;
    for (let spaces = 0; spaces < MINOR_FAULTS && at < length; at++) if (this.#bytes[at] === SPACE) spaces++;
    let count = 0;
    for (; at < length && this.#bytes[at] !== SPACE; at++) count = count * 10 + ((this.#bytes[at] as number) & 0xf);
    return count;
  }

  close(): void {
    closeSync(this.#fd);
  }
}
