/**
 * CheckedClient: an I/O client that checks that each of its requests lies in its ranges. It
 * completes every second one at once and the others a turn later, with the values of a
 * PatternDevice at the range's start.
 *
 * Called by: PageArena (page-arena.ts), for the VM with the overwritten page.
 *
 * It may have one range more for a time (`add`). Requests there read as all ones, as they do
 * without a client. So what the guest reads does not depend on whether the range was added.
 */

import type { AddressRange, AssignedRequest, IoClient, UserVm } from '../../index.js';
import { joinU64 } from '../../io-request/io-request.js';
import { Violation } from '../fuzz-target.js';
import { patternValue } from './pattern-device.js';

const U64 = 64;

export class CheckedClient implements IoClient {
  readonly name: string;
  readonly ranges: readonly AddressRange[];
  /** The added range. */
  #extra: AddressRange | undefined;
  #count = 0;

  constructor(name: string, ranges: readonly AddressRange[]) {
    this.name = name;
    this.ranges = ranges;
  }

  add(vm: UserVm, range: AddressRange): void {
    this.#extra = range;
    vm.addRange(this, range);
  }

  remove(vm: UserVm): void {
    if (this.#extra !== undefined) vm.removeRange(this, this.#extra);
    this.#extra = undefined;
  }

  /** The client is removed from its VM, and all its ranges with it. */
  disconnected(): void {
    this.#extra = undefined;
  }

  notify(request: AssignedRequest): void {
    const range = [...this.ranges, ...(this.#extra === undefined ? [] : [this.#extra])].find((one) =>
      isInside(request, one),
    );
    // The HSM reports the throw as `client-failed`, which PageArena does not expect.
    if (range === undefined) throw new Violation(`${this.name} received ${request.describe()}`);
    const offset = (request.addressLow - Number(BigInt.asIntN(32, range.start))) >>> 0;
    const [low, high] = range === this.#extra ? [-1, -1] : [patternValue(offset, 4), patternValue(offset + 4, 4)];
    const { ticket } = request;
    if (this.#count++ % 2 === 0) request.finish(ticket, low, high);
    else setImmediate(() => request.finish(ticket, low, high));
  }
}

/** Whether the Linux driver finds the request in the range: its arithmetic wraps at 2^64. */
function isInside(request: AssignedRequest, range: AddressRange): boolean {
  const address = joinU64(request.addressLow, request.addressHigh);
  const last = BigInt.asUintN(U64, address + joinU64(request.size, request.sizeHigh) - 1n);
  return request.type === range.type && address >= range.start && last <= range.end;
}
