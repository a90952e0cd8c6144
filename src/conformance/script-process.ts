/**
 * ScriptProcess: the process that a conformance script drives, with its memory, descriptors and
 * open file of /dev/acrn_hsm. LocalProcess is one inside this process. Tests have one that is a
 * real program, and compare.
 *
 * Called by: ControlProcess (control-process.ts), for the commands `ioctl` and `user`.
 */

import { MappedMemory, sharedBytes } from '../acrn-hsm/address-space.js';
import { LocalEventTable } from '../acrn-hsm/event-table.js';
import type { HsmDevice } from '../acrn-hsm/hsm-device.js';
import type { HsmFile } from '../acrn-hsm/hsm-file.js';
import { Ioctl } from '../acrn-hsm/ioctl-codes.js';
import { LocalEvent } from '../hsm/event-object.js';
import { Errno } from '../io-request/errno.js';
import { PAGE_BYTES } from '../io-request/layout.js';
import type { ScriptResult } from './script-answer.js';

/**
 * Addresses in the process: its page of slots, the structures of ioctls, the memory for RAM
 * segments. Nothing else is mapped.
 */
export const PAGE = 0x1_0000n;
const ARGUMENT = 0x2_0000n;
const SEGMENTS = 0x10_0000n;
export const SEGMENT_BYTES = 16 * PAGE_BYTES;
/** Descriptors 0…3 are events, 4 is something else, and no other is open. */
export const EVENTS = 4;
/** As errno.h has it on x86. Reading an eventfd that was not signalled. */
const EAGAIN = -11;

export interface ScriptProcess {
  /** Its open file, as the driver sees it. */
  readonly file: HsmFile;
  /**
   * Makes the ioctl with a structure in its memory, or with the argument itself. The structure is
   * then as the process finds it afterwards.
   */
  ioctl(code: number, argument: Uint8Array | bigint): ScriptResult | Promise<ScriptResult>;
  /** A signal reaches each thread that waits in ATTACH. */
  interrupt(): number | Promise<number>;
  /** It closes its file and opens another one. */
  reopen(): Promise<number>;
  useEvent(act: 'signal' | 'read' | 'close', fd: number): number | Promise<number>;
  /**
   * Results of the ATTACH calls that have returned since the last call of this. Undefined if no
   * call has returned, and none waits.
   */
  returned(): Promise<readonly number[]> | undefined;
  /** Signals of its eventfds since the last time that were not reported otherwise. */
  signals?(): Promise<readonly number[]>;
}

export class LocalProcess implements ScriptProcess {
  readonly #device: HsmDevice;
  readonly #memory = new MappedMemory();
  readonly #descriptors = new LocalEventTable();
  readonly #events = Array.from({ length: EVENTS }, () => new LocalEvent());
  #file: HsmFile;
  /** Interrupts the calls that wait. */
  #signal = new AbortController();
  /** ATTACH calls that wait, and the results of those that returned since the last command. */
  #waiting = 0;
  #returned: number[] = [];

  constructor(device: HsmDevice, onSignal: (fd: number) => void) {
    this.#device = device;
    for (const [start, bytes] of [
      [PAGE, PAGE_BYTES],
      [ARGUMENT, PAGE_BYTES],
      [SEGMENTS, SEGMENT_BYTES],
    ] as const)
      this.#memory.map(start, sharedBytes(bytes));
    this.#events.forEach((event, fd) => {
      this.#descriptors.open(event);
      event.onSignal(() => onSignal(fd));
    });
    this.#descriptors.open();
    this.#file = this.#open();
  }

  get file(): HsmFile {
    return this.#file;
  }

  /** What it has in its memory, from the page of slots on. */
  contents(): readonly Uint8Array[] {
    return [[PAGE, PAGE_BYTES] as const, [SEGMENTS, SEGMENT_BYTES] as const].map(([start, length]) => {
      const bytes = new Uint8Array(length);
      this.#memory.read(start, bytes);
      return bytes;
    });
  }

  ioctl(code: number, argument: Uint8Array | bigint): ScriptResult | Promise<ScriptResult> {
    if (typeof argument !== 'bigint') this.#memory.write(ARGUMENT, argument);
    const result = this.#file.ioctl(code, typeof argument === 'bigint' ? argument : ARGUMENT, this.#signal.signal);
    if (code === Ioctl.ATTACH_IOREQ_CLIENT) return this.#attach(result);
    if (typeof argument === 'bigint') return result;
    return Promise.resolve(result).then((number) => {
      this.#memory.read(ARGUMENT, argument);
      return number;
    });
  }

  interrupt(): number {
    this.#signal.abort();
    this.#signal = new AbortController();
    return 0;
  }

  async reopen(): Promise<number> {
    await this.#file.close();
    this.#file = this.#open();
    return 0;
  }

  useEvent(act: 'signal' | 'read' | 'close', fd: number): number {
    const event = this.#events[fd];
    if (event === undefined || typeof this.#descriptors.lookup(fd) === 'number') return Errno.EBADF;
    if (act === 'signal') event.signal();
    else if (act === 'read') return event.isReadable ? Number(event.read()) : EAGAIN;
    else {
      this.#descriptors.close(fd);
      event.close();
    }
    return 0;
  }

  /** Calls that wait in ATTACH return one turn of the event loop after the command. */
  returned(): Promise<readonly number[]> | undefined {
    if (this.#waiting === 0 && this.#returned.length === 0) return undefined;
    return new Promise<void>((resolve) => setImmediate(resolve)).then(() => this.#returned.splice(0));
  }

  #attach(result: number | Promise<number>): ScriptResult {
    if (typeof result === 'number') return result;
    this.#waiting++;
    void result.then((returned) => {
      this.#waiting--;
      this.#returned.push(returned);
    });
    return 'waits';
  }

  #open(): HsmFile {
    return this.#device.open(this.#memory, this.#descriptors);
  }
}
