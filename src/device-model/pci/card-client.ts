/**
 * CardClient: a PCI card as an I/O client, whose ranges are its decoded BARs.
 *
 * Called by: the HSM's worker, with each request in one of the ranges; BarDecoder, which moves
 * them. Threads: the Service VM's.
 *
 * Each place of a BAR has a client of its own (a DeviceClient, or that of a ThreadCard), which
 * knows the place. One that answers later goes on with the place that the access had.
 */

import type { AddressRange } from '../../hsm/address-range.js';
import type { AssignedRequest } from '../../hsm/assigned-request.js';
import type { ClientPosition, IoClient } from '../../hsm/io-client.js';
import { DeviceClient, PROMISE_OPEN, type ReportDeviceError } from '../device-client.js';
import { BARS, type BarLayout } from './card-description.js';
import type { CardFunction } from './card-function.js';

/** Answers the requests of one BAR at one place. */
export type BarClient = Pick<IoClient, 'notify'>;

interface DecodedBar {
  readonly range: AddressRange;
  /** The range's addresses as numbers, both inclusive: `notify` compares them with each request. */
  readonly first: number;
  readonly last: number;
  readonly client: BarClient;
}

export interface CardClientOptions {
  readonly fn: CardFunction;
  readonly reportError: ReportDeviceError;
  /** For a card in a thread of its own: the clients of its BARs, and why a request is late. */
  readonly placed?: {
    barClient(bar: number, range: AddressRange): BarClient;
    explain(vcpu: number): ClientPosition;
  };
  /** BAR number `bar` is decoded at `range` by now, or nowhere. */
  readonly onDecoded: (bar: number, range: AddressRange | undefined) => void;
  /** The client was removed: by its owner, by the HSM, or at the end of the VM. */
  readonly onRemoved: (client: CardClient) => void;
}

export class CardClient implements IoClient {
  readonly name: string;
  readonly fn: CardFunction;
  readonly #options: CardClientOptions;
  /** The decoded BARs, at the indices of their numbers. */
  readonly #bars: (DecodedBar | undefined)[] = Array.from({ length: BARS }, () => undefined);

  constructor(options: CardClientOptions) {
    this.name = options.fn.name;
    this.fn = options.fn;
    this.#options = options;
  }

  notify(request: AssignedRequest): void {
    const address = (request.addressHigh >>> 0) * 2 ** 32 + (request.addressLow >>> 0);
    for (let bar = 0; bar < BARS; bar++) {
      const decoded = this.#bars[bar];
      if (decoded === undefined || decoded.range.type !== request.type) continue;
      if (address < decoded.first || address > decoded.last) continue;
      decoded.client.notify(request);
      return;
    }
    // A request of a corrupted page, which wraps at 2^64.
    request.finishAllOnes(request.ticket);
  }

  /**
   * For a late request: as DeviceClient.explain, a card in this thread is late by promises only.
   */
  explain(vcpu: number): ClientPosition {
    return this.#options.placed?.explain(vcpu) ?? { detail: PROMISE_OPEN };
  }

  disconnected(): void {
    this.#options.onRemoved(this);
  }

  /** The range of BAR number `bar`. */
  decoded(bar: number): AddressRange | undefined {
    return this.#bars[bar]?.range;
  }

  /** Called by BarDecoder when the HSM has this range for the BAR, or none any more. */
  decode(layout: BarLayout, range: AddressRange | undefined): void {
    this.#bars[layout.bar] = range && {
      range,
      first: Number(range.start),
      last: Number(range.end),
      client: this.#barClient(layout, range),
    };
    this.#options.onDecoded(layout.bar, range);
  }

  #barClient(layout: BarLayout, range: AddressRange): BarClient {
    const { placed, reportError } = this.#options;
    return placed === undefined || layout.isMsixTable
      ? new DeviceClient(this.fn.barDevice(layout), range, reportError)
      : placed.barClient(layout.bar, range);
  }
}
