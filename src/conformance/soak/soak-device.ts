/**
 * SoakDevice: the device of the soak test.
 *
 * The value of a read contains the device, the round and the offset, so that a wrong or late answer
 * is found by its value. The soak chooses a fault and the access at which it strikes. The device is
 * a device module: it runs in a thread of its own or in the Service VM's.
 */

import type { Device } from '../../device-model/device.js';
import type { DeviceContext } from '../../device-model/placement/device-module.js';
import { SharedWords } from '../../sync/shared-words.js';

export const SoakFault = {
  NONE: 0,
  /** The access throws, and the device goes on. */
  THROW: 1,
  /** The answer comes a little later. */
  PROMISE: 2,
  /** The thread blocks for a while, in the middle of an access. */
  BLOCK: 3,
  /** The thread blocks between accesses. */
  BLOCK_OUTSIDE: 4,
  /** The thread ends in the middle of an access. Only in a thread. */
  EXIT: 5,
  /** An uncaught error ends the thread. Only in a thread. */
  THROW_OUTSIDE: 6,
} as const;
export type SoakFault = (typeof SoakFault)[keyof typeof SoakFault];

/** Those that end the thread. */
export const FATAL_FAULTS: readonly number[] = [SoakFault.EXIT, SoakFault.THROW_OUTSIDE];

// Words shared with the soak: the round, then for each device its fault and the accesses before it.
export const ROUND_WORD = 0;
const WORDS_PER_DEVICE = 2;

export function soakWordCount(devices: number): number {
  return 1 + devices * WORDS_PER_DEVICE;
}

/**
 * Indices of the words of device `id`: the SoakFault that it is to have, and the countdown to it.
 */
export function faultWords(id: number): { readonly fault: number; readonly countdown: number } {
  const fault = 1 + (id - 1) * WORDS_PER_DEVICE;
  return { fault, countdown: fault + 1 };
}

export interface SoakDeviceOptions {
  /** 1…126: the highest byte of its values, and so never that of all ones. */
  readonly id: number;
  readonly words: SharedArrayBuffer;
}

/** How long BLOCK and BLOCK_OUTSIDE block the thread. */
const BLOCK_MS = 2;
/** After which time PROMISE answers. */
const LATER_MS = 1;

/** The answer of device `id` in `round` at `offset`. Never all ones. */
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
    const value = soakValue(this.#id, this.#words.load(ROUND_WORD), offset);
    switch (this.#fault()) {
      case SoakFault.THROW:
        throw new Error('fault in an access');
      case SoakFault.PROMISE:
        return new Promise((resolve) => setTimeout(() => resolve(value), LATER_MS));
      case SoakFault.BLOCK:
        block();
        break;
      case SoakFault.BLOCK_OUTSIDE:
        setImmediate(block);
        break;
      case SoakFault.EXIT:
        process.exit(1);
        break;
      case SoakFault.THROW_OUTSIDE:
        setImmediate(() => {
          throw new Error('fault outside of any access');
        });
    }
    return value;
  }

  write(): void {
    // Only reads are checked.
  }

  /** The fault of this access. It strikes once. */
  #fault(): number {
    const { fault, countdown } = faultWords(this.#id);
    // `add` returns the value before it.
    if (this.#words.load(fault) === SoakFault.NONE || this.#words.add(countdown, -1) !== 0) return SoakFault.NONE;
    return this.#words.exchange(fault, SoakFault.NONE);
  }
}

export default SoakDevice;

/** Keeps the thread busy, as a device that computes. */
function block(): void {
  const end = performance.now() + BLOCK_MS;
  while (performance.now() < end);
}
