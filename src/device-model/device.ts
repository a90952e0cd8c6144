/**
 * Device: the interface of a device model.
 *
 * Called by: DeviceClient (device-client.ts), for accesses; the VM, or the device's own thread, for
 * the rest. Never by a hypervisor.
 *
 * Shape: a device knows its registers and nothing else. Offsets from the start of its range come
 * in, values go out. Its constructor receives the interrupt line, clock, guest memory and output
 * that it needs. So the same class runs in the Service VM's thread, in a thread of its own and in a
 * test.
 *
 * The guest is hostile: it makes accesses of any offset in the range, any size and any value, in
 * any order. A device answers as its data sheet says, or as an unconnected bus does: reads give all
 * ones, writes are ignored. A throw is a bug of the device, whatever the guest did. See
 * docs/write-a-device.md.
 */

import type { AccessSize } from '../io-request/io-request.js';
import type { RegisterMap } from './register-map.js';

export type { AccessSize } from '../io-request/io-request.js';

export interface Device {
  /** Names the device in messages, traces and statistics. */
  readonly name: string;
  /**
   * Reads the register at `offset`.
   *
   * @param offset - in bytes from the start of the range: 0 to the range's length less `size`. It
   *   need not be aligned
   * @param size - in bytes: 1, 2 or 4. An 8-byte access of MMIO comes as two of 4 bytes, low half
   *   first
   * @returns the value. The caller drops a fraction and truncates to `size` bytes, so -1 reads as
   *   all ones. While a promise is open, only the vCPU that reads waits. A throw, a rejection, and
   *   any value that is not a number from -(2^53 - 1) to 2^53 - 1, such as NaN, are errors: the
   *   guest reads all ones, and the VM emits a `device-error` event with the device's name
   */
  read(offset: number, size: AccessSize): number | Promise<number>;
  /**
   * Writes the register at `offset`. Parameters and errors as in `read`: after an error the guest
   * goes on.
   *
   * @param value - unsigned, 0 to 2^(8 * size) - 1
   */
  write(offset: number, size: AccessSize, value: number): void | Promise<void>;
  /**
   * The register map of the data sheet, for people and tools that display registers. Default: none.
   */
  readonly registers?: RegisterMap;
  /**
   * The value of a register, without any effect on the device: what `read` would return, but
   * nothing is taken, cleared or advanced. `offset` and `size` are those of the RegisterMap, and
   * `name` distinguishes registers that share an offset. Returns undefined if the value cannot be
   * known. Default: no register can be peeked.
   */
  peek?(offset: number, size: AccessSize, name?: string): number | undefined;
  /**
   * Restores the power-on state, with the interrupt line low. Called when the VM is reset, and
   * before `close` when the device is removed. One in a thread of its own that is removed because
   * it was late is closed without it. Default: nothing to restore.
   */
  reset?(): void;
  /**
   * The device's state as plain data, without any effect on the device: everything that `restore`
   * needs to go on from here. A reload copies it by structured cloning, a snapshot as JSON, which
   * has no typed arrays and no infinity. Called between two accesses, with no promise open. Times
   * are those of the device's clock, which goes on from the same value. A device without any state
   * returns null. Default: it cannot be saved, nor its VM.
   */
  save?(): unknown;
  /**
   * Takes over what `save` of a device of the same `stateVersion` has returned: sets the registers,
   * drives the interrupt lines and starts the timers accordingly. Called on a new device, before
   * its first access. A snapshot may come from anywhere: throws if the state is not valid
   * (io-request/saved-state.ts helps).
   */
  restore?(state: unknown): void;
  /**
   * The version of the form that `save` gives the state. A state is restored only by a device of
   * the same version. Default: undefined, which is a version too.
   */
  readonly stateVersion?: number;
  /**
   * Releases timers and handles. Called once, when the VM is destroyed or the device is detached.
   */
  close?(): void;
}

/**
 * A device's output to one input pin of the VM's interrupt controllers. The pin has a number: its
 * global system interrupt.
 */
export interface InterruptLine {
  /**
   * Drives the level of this output. The pin is high while one of its outputs is. Setting the level
   * that the output has does nothing.
   */
  set(high: boolean): void;
}

/**
 * What a device may do to its machine. Both methods return at once: the machine stops or restarts
 * after the access.
 */
export interface PowerControl {
  /** `reason`: a sentence for the operator. */
  powerOff(reason: string): void;
  reset(reason: string): void;
}

/** Where a character device's bytes go, e.g. `process.stdout`. The result of `write` is ignored. */
export interface ByteSink {
  write(bytes: Uint8Array): unknown;
}

/** A line that is not connected to anything. */
export const UNCONNECTED: InterruptLine = { set: () => undefined };

/**
 * What a read of `size` bytes (1, 2, 4) gives where nothing answers: 0xff, 0xffff or 0xffffffff.
 */
export function allOnes(size: number): number {
  return size >= 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff;
}
