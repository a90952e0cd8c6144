/**
 * The device of the soak: a read says who answers, in which round, and at which offset, so that an answer from a wrong
 * client, or one that is late, is known by its value. In between it gets into the trouble that the soak asks for, at the
 * access that the soak has chosen. It is a device module for threads, and serves in the Service VM's thread too.
 */

import type { Device } from '../../device-model/device.js';
import type { DeviceContext } from '../../device-model/placement/device-module.js';
import { SharedWords } from '../../sync/shared-words.js';

export const SoakTrouble = {
  NONE: 0,
  /** The access throws; the device goes on. */
  THROW: 1,
  /** The answer comes a little later. */
  PROMISE: 2,
  /** The thread stands still for a while, in the middle of an access. */
  BLOCK: 3,
  /** The thread stands still between accesses. */
  BLOCK_OUTSIDE: 4,
  /** The thread ends in the middle of an access. Only in a thread. */
  EXIT: 5,
  /** An error that nobody catches ends the thread. Only in a thread. */
  THROW_OUTSIDE: 6,
} as const;
export type SoakTrouble = (typeof SoakTrouble)[keyof typeof SoakTrouble];

/** Those that end the thread. */
export const FATAL_TROUBLES: readonly number[] = [SoakTrouble.EXIT, SoakTrouble.THROW_OUTSIDE];

/** Words shared with the soak: the round, then for each device its trouble and after how many accesses it comes. */
export const SoakWord = { ROUND: 0, TROUBLE: 1, COUNTDOWN: 2, PER_DEVICE: 2 } as const;

export interface SoakDeviceOptions {
  /** 1…126. */
  readonly id: number;
  readonly words: SharedArrayBuffer;
}

const BLOCK_MS = 2;
const LATER_MS = 1;

/** What device `id` answers in `round` at `offset`: never all ones. */
export function soakValue(id: number, round: number, offset: number): number {
  return ((id << 24) | ((round & 0xff) << 16) | offset) >>> 0;
}

export class SoakDevice implements Device {
  readonly name: string;
  readonly #id: number;
  readonly #words: SharedWords;

  constructor(_context: DeviceContext | undefined, { id, words }: SoakDeviceOptions) {
    this.name = `soak-${id}`;
    this.#id = id;
    this.#words = new SharedWords(words);
  }

  read(offset: number): number | Promise<number> {
    const value = soakValue(this.#id, this.#words.load(SoakWord.ROUND), offset);
    switch (this.#trouble()) {
      case SoakTrouble.THROW:
        throw new Error('trouble in an access');
      case SoakTrouble.PROMISE:
        return new Promise((resolve) => setTimeout(() => resolve(value), LATER_MS));
      case SoakTrouble.BLOCK:
        block();
        break;
      case SoakTrouble.BLOCK_OUTSIDE:
        setImmediate(block);
        break;
      case SoakTrouble.EXIT:
        process.exit(1);
        break;
      case SoakTrouble.THROW_OUTSIDE:
        setImmediate(() => {
          throw new Error('trouble outside of any access');
        });
    }
    return value;
  }

  write(): void {
    // Reads say all that there is to say.
  }

  /** The trouble whose access this is. */
  #trouble(): number {
    const at = SoakWord.TROUBLE + (this.#id - 1) * SoakWord.PER_DEVICE;
    if (this.#words.load(at) === SoakTrouble.NONE || this.#words.add(at + 1, -1) !== 0) return SoakTrouble.NONE;
    return this.#words.exchange(at, SoakTrouble.NONE);
  }
}

export default SoakDevice;

function block(): void {
  const end = performance.now() + BLOCK_MS;
  while (performance.now() < end);
}
