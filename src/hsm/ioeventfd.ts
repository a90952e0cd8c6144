/**
 * IoEventFds: the kernel's own I/O client (`ioeventfd`). A guest's write to a registered address
 * signals an event and is finished at once, without ACRN userspace. One per VM that was created by
 * ioctl.
 *
 * Called by: acrn-hsm/ioctl-vm.ts, which creates it, and acrn-hsm/event-ioctls.ts; the HSM, for
 * requests.
 *
 * The rules are the driver's, surprising ones included:
 *
 * - The first matching entry, in order of registration, gets the signal.
 * - An entry matches a write to exactly its address that is not wider than the entry.
 * - Any other access in its range is swallowed, and a read returns 0.
 * - The same event at the same place is a conflict. A different event there is not.
 * - Removal compares only the event.
 */

import { Errno } from '../io-request/errno.js';
import { joinU64 } from '../io-request/io-request.js';
import { Direction, IoRequestType } from '../io-request/layout.js';
import type { AddressRange } from './address-range.js';
import type { AssignedRequest } from './assigned-request.js';
import type { EventObject } from './event-object.js';
import type { IoClient } from './io-client.js';

/** Maximum number of entries of one VM. The driver is limited only by memory. */
export const MAX_IO_EVENTS = 1024;
const U64 = 64;
const WIDTHS = [1, 2, 4, 8];

export interface IoEventRequest {
  readonly isPort: boolean;
  readonly address: bigint;
  /** Bytes of the range: 1, 2, 4 or 8 once `checkIoEvent` has passed. Before, any u32. */
  readonly length: number;
  /** Undefined: any value matches. */
  readonly data?: bigint;
}

interface Entry extends IoEventRequest {
  readonly event: EventObject;
  readonly range: AddressRange;
}

/** What IoEventFds needs of the VM (vm/user-vm.ts). Both return false if nothing changed. */
export interface RangeKeeper {
  addRange(client: IoClient, range: AddressRange): boolean;
  removeRange(client: IoClient, range: AddressRange): boolean;
}

/** The checks of a registration before its event is looked up. Returns 0 or −errno. */
export function checkIoEvent({ address, length }: IoEventRequest): number {
  if (BigInt.asUintN(U64, address + BigInt(length)) < address) return Errno.EINVAL;
  return WIDTHS.includes(length) ? 0 : Errno.EINVAL;
}

export class IoEventFds implements IoClient {
  readonly name: string;
  readonly #ranges: RangeKeeper;
  /** Oldest first. */
  readonly #entries: Entry[] = [];

  constructor(vmId: number, ranges: RangeKeeper) {
    this.name = `ioeventfd-${vmId}`;
    this.#ranges = ranges;
  }

  /** Number of registered entries. */
  get size(): number {
    return this.#entries.length;
  }

  /** Returns 0 or −errno. */
  assign(request: IoEventRequest, event: EventObject): number {
    const check = checkIoEvent(request);
    if (check !== 0) return check;
    if (this.#entries.some((entry) => entry.event === event && conflicts(entry, request))) return Errno.EEXIST;
    if (this.#entries.length >= MAX_IO_EVENTS) return Errno.ENOMEM;
    const range: AddressRange = {
      type: request.isPort ? IoRequestType.PORT : IoRequestType.MMIO,
      start: request.address,
      end: request.address + BigInt(request.length) - 1n,
    };
    if (!this.#ranges.addRange(this, range)) return Errno.ENOMEM;
    this.#entries.push({ ...request, event, range });
    return 0;
  }

  /** Removes the oldest entry of `event`. Returns 0, even if it has no entry. */
  deassign(event: EventObject): number {
    const index = this.#entries.findIndex((entry) => entry.event === event);
    const [entry] = index < 0 ? [] : this.#entries.splice(index, 1);
    if (entry !== undefined) this.#ranges.removeRange(this, entry.range);
    return 0;
  }

  notify(request: AssignedRequest): void {
    const { ticket } = request;
    // The driver treats every direction but READ as a write, and every type but MMIO as a port.
    if (request.direction === Direction.READ) {
      request.finish(ticket, 0, 0);
      return;
    }
    const event = this.#match(request);
    // Finish first: the vCPU goes on while the event's listeners run.
    request.finish(ticket);
    event?.signal();
  }

  disconnected(): void {
    this.#entries.length = 0;
  }

  #match(request: AssignedRequest): EventObject | undefined {
    const isPort = request.type !== IoRequestType.MMIO;
    const address = joinU64(request.addressLow, request.addressHigh);
    // A port's value has 32 bits. MMIO compares all 64, even those above the size of a narrow
    // write.
    const value = joinU64(request.valueLow, isPort ? 0 : request.valueHigh);
    return this.#entries.find(
      (entry) =>
        entry.isPort === isPort &&
        entry.address === address &&
        entry.length >= request.size &&
        (entry.data === undefined || entry.data === value),
    )?.event;
  }
}

/** Whether a write could match both. As in the driver, lengths are not compared. */
function conflicts(a: IoEventRequest, b: IoEventRequest): boolean {
  if (a.address !== b.address || a.isPort !== b.isPort) return false;
  return a.data === undefined || b.data === undefined || a.data === b.data;
}
