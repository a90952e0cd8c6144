/**
 * DeviceAccesses: the latest accesses to the devices of one I/O client, by address and direction,
 * from the trace. It is what a page shows of a device without a register map.
 *
 * Called by: PageInspection, for as long as a page shows the client. Callers must `close` it.
 * Threads: the Service VM's.
 *
 * Under load a sample of the trace has the last moves only, so an address that is seldom accessed
 * may be missed.
 */

import { IoRequestType } from '../io-request/layout.js';
import { addressText, hex, type IoRequest } from '../io-request/io-request.js';
import type { AddressRange } from '../hsm/address-range.js';
import type { IoClient } from '../hsm/io-client.js';
import type { MoveSampler } from '../trace/move-sampler.js';
import type { VmInspection } from '../vm/vm-inspection.js';
import { MAX_ACCESS_ROWS, type AccessRow } from './protocol.js';

/** Moves that one call of `rows` takes from the trace, at most. */
const SAMPLED_MOVES = 400;

export class DeviceAccesses {
  readonly client: IoClient;
  readonly #inspection: VmInspection;
  readonly #sampler: MoveSampler;
  /** By direction and address, the latest last. */
  readonly #rows = new Map<string, AccessRow>();

  constructor(inspection: VmInspection, client: IoClient) {
    this.client = client;
    this.#inspection = inspection;
    this.#sampler = inspection.sampleMoves({ client: client.name });
  }

  /**
   * At most MAX_ACCESS_ROWS, by address: the accesses since this object was created, as far as the
   * samples of all calls have them.
   */
  rows(): readonly AccessRow[] {
    const ranges = this.#inspection.rangesOf(this.client);
    for (const { to, isRefused, request, timeNs } of this.#sampler.take(SAMPLED_MOVES).moves) {
      if (to !== 'COMPLETE' || isRefused || request === undefined) continue;
      const range = rangeOf(ranges, request);
      // Of another client of the same name. The default client has no ranges to compare with.
      if (range === undefined && ranges.length > 0) continue;
      const { direction, size, value } = request;
      const address = addressText(request);
      const offset = range === undefined || request.type === 'pci' ? null : request.address - Number(range.start);
      const key = `${direction} ${address}`;
      this.#rows.delete(key);
      this.#rows.set(key, { address, offset, direction, size, value: hex(value), timeNs });
      const [oldest] = this.#rows.keys();
      if (oldest !== undefined && this.#rows.size > MAX_ACCESS_ROWS) this.#rows.delete(oldest);
    }
    return [...this.#rows.values()].sort(byAddress);
  }

  close(): void {
    this.#sampler.close();
  }
}

function rangeOf(ranges: readonly AddressRange[], request: IoRequest): AddressRange | undefined {
  if (request.type === 'pci') return undefined;
  const type = request.type === 'port' ? IoRequestType.PORT : IoRequestType.MMIO;
  const address = BigInt(request.address);
  return ranges.find((range) => range.type === type && address >= range.start && address <= range.end);
}

/** By value: the texts are hexadecimal without leading zeros, so the longer one is higher. */
function byAddress(a: AccessRow, b: AccessRow): number {
  return a.address.length - b.address.length || (a.address < b.address ? -1 : a.address > b.address ? 1 : 0);
}
