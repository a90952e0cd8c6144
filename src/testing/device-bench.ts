/**
 * deviceBench: a Bench with a device on it.
 *
 * Called by: an author's tests. card-bench.ts uses `benchContext`.
 */

import { ManualClock } from '../device-model/clock.js';
import type { Device } from '../device-model/device.js';
import { checkedValue } from '../device-model/device-value.js';
import {
  createdBy,
  loadDevice,
  type CreateDevice,
  type DeviceContext,
} from '../device-model/placement/device-module.js';
import { GuestMemory } from '../hypervisor/guest-memory.js';
import { truncate } from '../io-request/io-request.js';
import { DEFAULT_MEMORY_BYTES, type Bench } from './bench.js';
import { BenchLines } from './bench-lines.js';

/** A class of devices, as a module exports it. */
export type DeviceClass = new (context: DeviceContext, options: never) => Device;

/** A URL, without the types of Node or of the DOM. */
export interface ModuleUrl {
  readonly href: string;
}

export interface BenchOptions {
  /** What the constructor gets as its second argument. */
  readonly options?: unknown;
  /** Bytes of guest RAM, from address 0 on. Default: 64 KiB. */
  readonly memoryBytes?: number;
}

export interface DeviceBenchOptions extends BenchOptions {
  /** Ports or bytes of the device's range. */
  readonly length: number;
}

/**
 * Creates a device on a bench: a class, a function as a module may export it, or the path or URL of
 * a module. Rejects with DEVICE_MODULE_INVALID where a module has no device, with what its
 * constructor throws, and with RangeError for a `length` that no range has.
 */
export async function deviceBench(
  device: string | ModuleUrl | DeviceClass | CreateDevice,
  { length, options, memoryBytes = DEFAULT_MEMORY_BYTES }: DeviceBenchOptions,
): Promise<Bench> {
  if (!Number.isInteger(length) || length < 1)
    throw new RangeError(`length: ${length} is not the number of bytes or ports of the device's range`);
  const context = benchContext(memoryBytes);
  const made = (await (typeof device === 'function'
    ? createdBy(device, context, options)
    : loadDevice(hrefOf(device), context, options))) as Device;
  return new DeviceBench(made, length, context);
}

export function hrefOf(module: string | ModuleUrl): string {
  return typeof module === 'string' ? module : module.href;
}

/** What a device on a bench gets of its machine. */
export interface BenchContext extends DeviceContext {
  readonly clock: ManualClock;
  readonly lines: BenchLines;
}

export function benchContext(memoryBytes: number): BenchContext {
  const lines = new BenchLines();
  const buffer = new SharedArrayBuffer(memoryBytes);
  return {
    clock: new ManualClock(),
    memory: new GuestMemory({ buffer, byteOffset: 0, byteLength: memoryBytes }),
    interruptLine: (gsi) => lines.line(gsi),
    lines,
  };
}

class DeviceBench implements Bench {
  readonly name: string;
  readonly registers;
  readonly spaces;
  readonly clock;
  readonly memory;
  readonly #device: Device;
  readonly #lines: BenchLines;
  #isClosed = false;

  constructor(device: Device, length: number, { clock, memory, lines }: BenchContext) {
    this.name = device.name;
    this.registers = device.registers;
    this.spaces = [{ bar: 0, length }];
    this.clock = clock;
    this.memory = memory;
    this.#device = device;
    this.#lines = lines;
  }

  get interruptMoves(): number {
    return this.#lines.moves;
  }

  async read(...[offset, size]: Parameters<Bench['read']>): Promise<number> {
    return truncate(checkedValue(await this.#device.read(offset, size), this.#device), size);
  }

  async write(...[offset, size, value]: Parameters<Bench['write']>): Promise<void> {
    await this.#device.write(offset, size, truncate(value, size));
  }

  peek(...[offset, size, name]: Parameters<Bench['peek']>): number | undefined {
    const value = this.#device.peek?.(offset, size, name);
    return value === undefined ? undefined : truncate(value, size);
  }

  level(number?: number): boolean {
    return this.#lines.level(number);
  }

  raised(number?: number): number {
    return this.#lines.rises(number);
  }

  reset(): void {
    this.#device.reset?.();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#device.close?.();
  }
}
