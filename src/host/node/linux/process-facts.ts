/**
 * What proc(5) says of other processes.
 *
 * Called by: acrn-programs/.
 */

import { closeSync, openSync, readFileSync } from 'node:fs';
import { libcHere } from './descriptors.js';
import type { NativeFunction } from './libc.js';

const STAT_BYTES = 512;
const CLOSING_PARENTHESIS = 0x29;
const SPACE = 0x20;
/** Of `minflt`, counted from the end of the program's name. */
const MINOR_FAULTS = 8;

/** The process of a thread. Undefined if it has ended. */
export function processOf(thread: number): number | undefined {
  try {
    return Number(/^Tgid:\s*(\d+)/m.exec(readFileSync(`/proc/${thread}/status`, 'latin1'))?.[1]);
  } catch {
    return undefined;
  }
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
    this.#pread = libcHere().func('int64_t pread(int fd, _Out_ uint8_t *bytes, size_t count, int64_t offset)');
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
