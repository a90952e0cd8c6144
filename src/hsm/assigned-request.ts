/**
 * AssignedRequest: a request as its client sees it. One object for each slot, used again for every request, so that
 * nothing is allocated: read the fields inside `notify`, and if you answer later, keep `ticket` and what you need.
 *
 * The fields are the HSM's copy, taken when it dispatched. Others may write to the page at any moment; a client that
 * works from here acts on the request that it owns, whatever becomes of the page.
 */

import { Direction } from '../io-request/layout.js';
import { describe, directionName, isPortLike, joinWords, typeName, type IoRequest } from '../io-request/io-request.js';
import type { AccessSize, MmioAccessSize } from '../io-request/io-request.js';

/**
 * Completes the request's slot if `ticket` is still the one it was assigned with. One function for all slots of a VM: V8
 * inlines a call of the same function, and not one of sixteen closures.
 */
export type FinishRequest = (request: AssignedRequest, ticket: number, valueLow: number, valueHigh: number) => boolean;

export class AssignedRequest {
  readonly vcpu: number;
  /** Identifies this assignment of the slot; never 0. */
  ticket = 0;
  /** IoRequestType, or whatever number stood in the page. */
  type = 0;
  direction = 0;
  /** Int32 words of the u64 address. */
  addressLow = 0;
  addressHigh = 0;
  /** 1, 2, 4 or 8 from a well-behaved hypervisor. */
  size = 0;
  /** The upper word of the u64 size: 0 from a well-behaved hypervisor. */
  sizeHigh = 0;
  valueLow = 0;
  valueHigh = 0;
  /** Of a PCI request; the register is 0…0xFFF. */
  bus = 0;
  device = 0;
  pciFunction = 0;
  register = 0;
  readonly #finish: FinishRequest;

  constructor(vcpu: number, finish: FinishRequest) {
    this.vcpu = vcpu;
    this.#finish = finish;
  }

  get isRead(): boolean {
    return this.direction === Direction.READ;
  }

  /**
   * Answers the request that `ticket` stands for: the value for a read (two int32 words; ports and PCI use the low one),
   * nothing for a write. False when it is too late: the request was finished or withdrawn before.
   */
  finish(ticket: number, valueLow = 0, valueHigh = 0): boolean {
    return this.#finish(this, ticket, valueLow, valueHigh);
  }

  /** The answer where nothing answers: all ones. */
  finishAllOnes(ticket: number): boolean {
    return this.#finish(this, ticket, -1, -1);
  }

  /** As plain data, for messages; allocates. */
  toRequest(): IoRequest {
    const direction = directionName(this.direction);
    const size = this.size as AccessSize;
    const value = this.valueLow >>> 0;
    if (isPortLike(this.type)) {
      const address = joinWords(this.addressLow, this.addressHigh);
      return this.type === 0
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

  describe(): string {
    return describe(this.toRequest());
  }
}
