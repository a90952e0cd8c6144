/**
 * What proc(5) says of other processes.
 *
 * Called by: acrn-programs/.
 */

import { closeSync, openSync, readFileSync } from 'node:fs';
import { closeDescriptor } from './descriptors.js';
import { requireLibc, type NativeFunction } from './libc.js';

const O_CLOEXEC = 0o200_0000;
const LETTER_R = 0x72;
const STAT_BYTES = 512;
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
  /** It is dead, and its end was not taken yet (a zombie). */
  readonly hasEnded: boolean;
}

/** Undefined if the thread has ended. */
export function threadFacts(thread: number): ThreadFacts | undefined {
  try {
    const status = readFileSync(`/proc/${thread}/status`, 'latin1');
    const word = (name: string): string => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1] ?? '';
    return { process: Number(word('Tgid')), parent: Number(word('PPid')), hasEnded: /[ZX]/.test(word('State')) };
  } catch {
    return undefined;
  }
}

/**
 * Whether the thread sleeps in a system call. One that a signal has woken does not, even if it has
 * no processor yet. Some microseconds. True if the system does not say.
 */
export function isAsleep(thread: number): boolean {
  const libc = requireLibc();
  const fd = Number(libc.func('int open(const char *path, int flags)')(`/proc/${thread}/syscall`, O_CLOEXEC));
  if (fd < 0) return true;
  const first = new Uint8Array(1);
  libc.func('int64_t read(int fd, _Out_ uint8_t *buffer, size_t bytes)')(fd, first, 1);
  closeDescriptor(fd);
  // Otherwise it is "running".
  return first[0] !== LETTER_R;
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
