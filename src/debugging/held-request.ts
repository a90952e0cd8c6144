/**
 * HeldRequest: a request that VmDebugger holds, and the value that it will continue with.
 *
 * Called by: VmDebugger (vm-debugger.ts), in the Service VM's thread.
 *
 * `low` and `high` are the two int32 words of a 64-bit value.
 */

import type { AssignedRequest } from '../hsm/assigned-request.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { hex, joinU64, splitU64, type AccessSize, type IoRequest } from '../io-request/io-request.js';
import { IoRequestType } from '../io-request/layout.js';
import type { Slot } from '../io-request/slot.js';
import type { InterruptEvent } from '../trace/interrupt-reader.js';
import type { BreakpointHit } from './armed-breakpoints.js';
import type { HoldPoint } from './breakpoint.js';
import type { ExpressionSubject } from './breakpoint-expression.js';

/** A held request for the operator, as plain data. */
export interface StoppedRequest {
  readonly vcpu: number;
  readonly at: HoldPoint;
  /** The client that will get it, or has answered it. `hsm`: the HSM itself. */
  readonly client: string;
  /** With its current value, which has no meaning for a read at PENDING. */
  readonly request: IoRequest;
  /** True for a write at PENDING and for a read before COMPLETE. */
  readonly canChange: boolean;
  /** The number of the breakpoint that it hit. Undefined: a step, or all requests are held. */
  readonly breakpoint: number | undefined;
  /** The interrupt that the breakpoint matched. Undefined: a breakpoint on requests, or none. */
  readonly interrupt: InterruptEvent | undefined;
  /** When it was held: `performance.now()` of the Service VM's thread. */
  readonly sinceMs: number;
}

export interface HeldRequestParts {
  readonly at: HoldPoint;
  readonly client: string;
  /** Copied at once: the object is reused for other requests. */
  readonly request: AssignedRequest;
  readonly low: number;
  readonly high: number;
  readonly hit: BreakpointHit | undefined;
}

export class HeldRequest {
  readonly vcpu: number;
  readonly at: HoldPoint;
  /**
   * The number of the request's assignment, which its answer must name. 0 at PENDING: it is not
   * assigned yet.
   */
  readonly ticket: number;
  low: number;
  high: number;
  readonly #type: number;
  readonly #isRead: boolean;
  readonly #size: number;
  readonly #client: string;
  readonly #request: IoRequest;
  readonly #hit: BreakpointHit | undefined;
  readonly #sinceMs = performance.now();

  constructor({ at, client, request, low, high, hit }: HeldRequestParts) {
    this.vcpu = request.vcpu;
    this.at = at;
    this.ticket = at === 'complete' ? request.ticket : 0;
    this.low = low;
    this.high = high;
    this.#type = request.type;
    this.#isRead = request.isRead;
    this.#size = request.size;
    this.#client = client;
    this.#request = request.toRequest();
    this.#hit = hit;
  }

  get canChange(): boolean {
    return this.#isRead === (this.at === 'complete');
  }

  describe(): StoppedRequest {
    const value = valueOf(this.low, this.high, this.#size);
    const isWide = this.#request.type === 'mmio' || this.#request.type === 'write-protect';
    return {
      vcpu: this.vcpu,
      at: this.at,
      client: this.#client,
      request: isWide
        ? { ...this.#request, value: this.#size === 8 ? value : Number(value) }
        : { ...this.#request, size: this.#size as AccessSize, value: Number(BigInt.asUintN(32, value)) },
      canChange: this.canChange,
      breakpoint: this.#hit?.number,
      interrupt: this.#hit?.interrupt,
      sinceMs: this.#sinceMs,
    };
  }

  /**
   * Sets the value. `slot` is the request's: the Service VM owns it while it is PENDING, so this
   * may write to it. Throws OPTION_INVALID if the value cannot be changed now or does not fit.
   */
  change(slot: Slot, value: number | bigint): void {
    if (!this.canChange)
      throw new UpcallError(
        'OPTION_INVALID',
        `this ${this.#isRead ? 'read' : 'write'} has no value that can be changed now`,
        {
          remedy: 'Change a write at PENDING, or a read before COMPLETE',
        },
      );
    const bits = this.#size === 8 ? 64 : 8 * Math.min(Math.max(this.#size, 1), 4);
    const isFit = typeof value === 'bigint' || Number.isSafeInteger(value);
    if (!isFit || BigInt(value) < 0n || BigInt(value) >= 1n << BigInt(bits))
      throw new UpcallError('OPTION_INVALID', `${value} does not fit ${bits} bits`, {
        remedy: `Give a whole number from 0 to ${hex((1n << BigInt(bits)) - 1n)}`,
      });
    ({ low: this.low, high: this.high } = splitU64(BigInt(value)));
    if (this.at !== 'pending') return;
    // The word after the value of a port or PCI request is another field.
    if (this.#type === IoRequestType.PORT || this.#type === IoRequestType.PCI) slot.setValue(this.low);
    else slot.setValue64(this.low, this.high);
  }
}

/** A request with this value, as the condition of a breakpoint takes it. */
export function subjectOf(request: AssignedRequest, client: string, low: number, high: number): ExpressionSubject {
  const { type, isRead, size, vcpu, bus, device, pciFunction, register } = request;
  return {
    type,
    isRead,
    address: joinU64(request.addressLow, request.addressHigh),
    size,
    value: valueOf(low, high, size),
    vcpu,
    client,
    bus,
    device,
    pciFunction,
    register,
  };
}

/**
 * The value of an access of `size` bytes, without the undefined bits above. Sizes other than 1, 2
 * and 8 count as 4.
 */
function valueOf(low: number, high: number, size: number): bigint {
  return BigInt.asUintN(size === 8 ? 64 : size === 1 || size === 2 ? 8 * size : 32, joinU64(low, high));
}
