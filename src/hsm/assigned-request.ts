/**
 * AssignedRequest: a request as its client sees it. One object per slot, reused for every request,
 * so that nothing is allocated.
 *
 * Called by: SlotAssignment, which has one for each slot; clients, some of which have copies.
 * Callers must: read the fields inside `notify`. A client that answers later copies `ticket` and
 * the fields that it needs.
 *
 * The fields are the HSM's copy, taken at dispatch. A later write to the page cannot change them.
 */

import type { RequestFields } from '../io-request/request-fields.js';
import { Direction, IoRequestType } from '../io-request/layout.js';
import { describe, directionName, isPortLike, joinWords, typeName, type IoRequest } from '../io-request/io-request.js';
import type { AccessSize, MmioAccessSize } from '../io-request/io-request.js';

/**
 * Finishes one slot's requests: SlotAssignment. A method and not a closure for each slot: V8
 * inlines one method, but not 16 closures.
 */
export interface AnswerTaker {
  /** Completes the slot if `ticket` still names its request. Returns false if it is too late. */
  finish(ticket: number, valueLow: number, valueHigh: number): boolean;
}

export class AssignedRequest implements RequestFields {
  readonly vcpu: number;
  /** Identifies this assignment of the slot. 0 only before the slot's first one. */
  ticket = 0;
  /** IoRequestType, or from a corrupted page any number. */
  type = 0;
  /** Direction. As for the driver, every number but READ is a write. */
  direction = 0;
  /** Int32 words of the u64 address. */
  addressLow = 0;
  addressHigh = 0;
  /** 1, 2, 4 or 8 from a well-behaved hypervisor. */
  size = 0;
  /** The upper word of the u64 size: 0 from a well-behaved hypervisor. */
  sizeHigh = 0;
  /** Int32 words of the value to write. Of a read: what the page holds, without meaning. */
  valueLow = 0;
  valueHigh = 0;
  /** Of a PCI request only. The register is 0…0xFFF. */
  bus = 0;
  device = 0;
  pciFunction = 0;
  register = 0;
  readonly #taker: AnswerTaker;

  constructor(vcpu: number, taker: AnswerTaker) {
    this.vcpu = vcpu;
    this.#taker = taker;
  }

  get isRead(): boolean {
    return this.direction === Direction.READ;
  }

  /**
   * Answers the request that `ticket` names. A read takes two int32 words, of which ports and PCI
   * use the low one. A write takes no value. Returns false if the request was finished or withdrawn
   * before.
   */
  finish(ticket: number, valueLow = 0, valueHigh = 0): boolean {
    return this.#taker.finish(ticket, valueLow, valueHigh);
  }

  /** Answers all ones, like an address without a device. */
  finishAllOnes(ticket: number): boolean {
    return this.#taker.finish(ticket, -1, -1);
  }

  /** As plain data, for messages. Allocates. */
  toRequest(): IoRequest {
    const direction = directionName(this.direction);
    const size = this.size as AccessSize;
    const value = this.valueLow >>> 0;
    if (isPortLike(this.type)) {
      const address = joinWords(this.addressLow, this.addressHigh);
      return this.type === IoRequestType.PORT
        ? { type: 'port', direction, address, size, value }
        : {
            type: 'pci',
            direction,
            bus: this.bus,
            device: this.device,
            function: this.pciFunction,
            register: this.register,
            size,
            value,
          };
    }
    return {
      type: typeName(this.type) === 'write-protect' ? 'write-protect' : 'mmio',
      direction,
      address: joinWords(this.addressLow, this.addressHigh),
      size: this.size as MmioAccessSize,
      value: this.size === 8 ? (BigInt(this.valueHigh >>> 0) << 32n) | BigInt(value) : value,
    };
  }

  /** In one line. A read is without a value: the answer is not among the fields. */
  describe(): string {
    return describe(this.toRequest(), false);
  }
}
