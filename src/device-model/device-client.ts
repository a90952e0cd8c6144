/**
 * DeviceClient: a device as an I/O client.
 *
 * Called by: the HSM's worker, or the thread of the device (placement/device-thread.ts), with each
 * request in the device's range.
 *
 * It turns guest addresses into offsets, an 8-byte access into two of 4 bytes (low half first), and
 * a device's number or promise into the request's answer. A throw or a rejection is a bug of the
 * device: the guest reads all ones, the error is reported, and the device goes on.
 *
 * Each answer carries a ticket: the number of one assignment of the slot. The request may have been
 * finished by its time limit or withdrawn by a reset while the device's promise was open. The HSM
 * then refuses the answer, because the slot has another ticket by now (hsm/request-finisher.ts).
 */

import type { AddressRange } from '../hsm/address-range.js';
import type { AssignedRequest } from '../hsm/assigned-request.js';
import type { ClientPosition, IoClient } from '../hsm/io-client.js';
import { truncate } from '../io-request/io-request.js';
import type { AccessSize, Device } from './device.js';
import { checkedValue } from './device-value.js';

/**
 * What a device was doing when it failed. `read`: the guest has read all ones therefore. `late
 * answer`: the promise of an access that had been finished or withdrawn before. `outside`: nothing
 * that upcall had asked for, for example a timer of its own; the device is removed.
 */
export type DeviceCall = 'read' | 'write' | 'late answer' | 'reset' | 'close' | 'outside';

/** Called with a device's name and what it threw or rejected with. */
export type ReportDeviceError = (device: string, error: unknown, during: DeviceCall) => void;

/** For the operator: why a request is late whose device has returned a promise. */
export const PROMISE_OPEN = 'the device’s promise is open';

export class DeviceClient implements IoClient {
  readonly name: string;
  readonly #device: Device;
  readonly #baseLow: number;
  readonly #baseHigh: number;
  readonly #length: number;
  readonly #reportError: ReportDeviceError;

  constructor(device: Device, range: AddressRange, reportError: ReportDeviceError) {
    this.name = device.name;
    this.#device = device;
    this.#baseLow = Number(range.start & 0xffff_ffffn);
    this.#baseHigh = Number(range.start >> 32n);
    // The end is inclusive.
    this.#length = Number(range.end - range.start + 1n);
    this.#reportError = reportError;
  }

  notify(request: AssignedRequest): void {
    const { size, ticket } = request;
    // In halves, so that the difference is exact for addresses above 2^53.
    const offset =
      ((request.addressHigh >>> 0) - this.#baseHigh) * 2 ** 32 + ((request.addressLow >>> 0) - this.#baseLow);
    // The HSM matches ranges with the Linux driver's arithmetic, which wraps at 2^64. So a request
    // that only a corrupted page can hold may match a range that does not contain it. A device must
    // never get it.
    if (offset < 0 || offset + size > this.#length) request.finishAllOnes(ticket);
    else if (size === 1 || size === 2 || size === 4) this.#access(request, ticket, offset, size);
    else if (size === 8) this.#accessWide(request, ticket, offset);
    // No hypervisor makes such a request: the page was corrupted.
    else request.finishAllOnes(ticket);
  }

  /** In this thread only a promise can be late: while the device computes, no limit is checked. */
  explain(): ClientPosition {
    return { detail: PROMISE_OPEN };
  }

  #access(request: AssignedRequest, ticket: number, offset: number, size: AccessSize): void {
    try {
      if (request.isRead) {
        const value = this.#device.read(offset, size);
        // `| 0`: an answer is an int32 word.
        if (typeof value === 'number') request.finish(ticket, truncate(checkedValue(value, this.#device), size) | 0, 0);
        else void this.#answerLater(value, request, ticket, size);
      } else {
        const written = this.#device.write(offset, size, truncate(request.valueLow, size));
        if (written === undefined) request.finish(ticket);
        else void this.#finishLater(written, request, ticket);
      }
    } catch (error) {
      this.#fail(error, request, ticket, request.isRead ? 'read' : 'write');
    }
  }

  /** Answers a read when the device's promise settles. */
  async #answerLater(
    value: Promise<number>,
    request: AssignedRequest,
    ticket: number,
    size: AccessSize,
  ): Promise<void> {
    try {
      request.finish(ticket, truncate(checkedValue(await value, this.#device), size) | 0, 0);
    } catch (error) {
      this.#fail(error, request, ticket, 'read');
    }
  }

  /** Finishes a write when the device's promise settles. */
  async #finishLater(written: Promise<void>, request: AssignedRequest, ticket: number): Promise<void> {
    try {
      await written;
      request.finish(ticket);
    } catch (error) {
      this.#fail(error, request, ticket, 'write');
    }
  }

  /**
   * An 8-byte access. If both halves are synchronous, it finishes in this call and allocates
   * nothing, so there is no closure and no promise here. The methods below await the promises of a
   * device. The second half starts after the first has ended.
   */
  #accessWide(request: AssignedRequest, ticket: number, offset: number): void {
    try {
      if (request.isRead) {
        const low = this.#device.read(offset, 4);
        if (typeof low !== 'number') {
          void this.#answerHalves(low, request, ticket, offset);
          return;
        }
        const high = this.#device.read(offset + 4, 4);
        if (typeof high === 'number')
          request.finish(ticket, checkedValue(low, this.#device) | 0, checkedValue(high, this.#device) | 0);
        else void this.#answerHigh(low, high, request, ticket);
      } else {
        const { valueHigh } = request;
        const first = this.#device.write(offset, 4, request.valueLow >>> 0);
        if (first !== undefined) {
          void this.#finishLater(this.#writeHigh(first, offset, valueHigh), request, ticket);
          return;
        }
        const second = this.#device.write(offset + 4, 4, valueHigh >>> 0);
        if (second === undefined) request.finish(ticket);
        else void this.#finishLater(second, request, ticket);
      }
    } catch (error) {
      this.#fail(error, request, ticket, request.isRead ? 'read' : 'write');
    }
  }

  /** The low half of a read is a promise. */
  async #answerHalves(low: Promise<number>, request: AssignedRequest, ticket: number, offset: number): Promise<void> {
    try {
      const lowNow = checkedValue(await low, this.#device);
      request.finish(ticket, lowNow | 0, checkedValue(await this.#device.read(offset + 4, 4), this.#device) | 0);
    } catch (error) {
      this.#fail(error, request, ticket, 'read');
    }
  }

  /** Only the high half of a read is a promise. */
  async #answerHigh(low: number, high: Promise<number>, request: AssignedRequest, ticket: number): Promise<void> {
    try {
      request.finish(ticket, checkedValue(low, this.#device) | 0, checkedValue(await high, this.#device) | 0);
    } catch (error) {
      this.#fail(error, request, ticket, 'read');
    }
  }

  /** The low half of a write is a promise. Settles when both halves are written. */
  async #writeHigh(first: Promise<void>, offset: number, valueHigh: number): Promise<void> {
    await first;
    await this.#device.write(offset + 4, 4, valueHigh >>> 0);
  }

  #fail(error: unknown, request: AssignedRequest, ticket: number, during: DeviceCall): void {
    const isAnswered = request.finishAllOnes(ticket);
    this.#reportError(this.name, error, isAnswered ? during : 'late answer');
  }
}
