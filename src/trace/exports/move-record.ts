/**
 * MoveRecord: a move (change of a slot's state) as one flat row, for formats that have columns.
 *
 * Called by: JsonLinesExport and ParquetExport, which take their fields from here.
 */

import { hex } from '../../io-request/io-request.js';
import { SLOT_COUNT } from '../../io-request/layout.js';
import type { Move } from '../move.js';

export interface MoveRecord {
  readonly vm: string;
  readonly timeNs: number;
  /**
   * False if the move has no time of its own: it was after `timeNs` and before the slot's next one.
   */
  readonly timed: boolean;
  /**
   * Time since the same request's previous move. Null for the first move of a request, and if one
   * of the two moves has no time or was lost.
   */
  readonly stageNs: number | null;
  readonly vcpu: number;
  /** `Move.requestNumber`. */
  readonly request: number;
  readonly from: string;
  readonly to: string;
  readonly by: string;
  readonly client: string | null;
  readonly type: string | null;
  readonly direction: string | null;
  /** Null for PCI. */
  readonly address: number | null;
  /** `00:1f.2 0x10`: bus, device, function, register. Null for all types but PCI. */
  readonly pci: string | null;
  readonly size: number | null;
  /** Up to 64 bits, unsigned. */
  readonly value: number | bigint | null;
  readonly refused: boolean;
  readonly lost: number;
}

/** Makes the records. It keeps the time of each slot's last move, for `stageNs`. */
export class MoveRecords {
  readonly #vm: string;
  /** By slot: the time of its last move. */
  readonly #lastNs = new Float64Array(SLOT_COUNT).fill(-1);
  /** By slot: the request of `#lastNs`. -1: the slot's last move has no time of its own. */
  readonly #lastRequest = new Float64Array(SLOT_COUNT).fill(-1);

  constructor(vm: string) {
    this.#vm = vm;
  }

  record(move: Move): MoveRecord {
    const { vcpu, timeNs, isTimed, request, requestNumber } = move;
    const isSame = isTimed && this.#lastRequest[vcpu] === requestNumber && move.to !== 'PENDING' && move.lost === 0;
    const stageNs = isSame ? timeNs - (this.#lastNs[vcpu] as number) : null;
    this.#lastNs[vcpu] = timeNs;
    this.#lastRequest[vcpu] = isTimed ? requestNumber : -1;
    const isPci = request?.type === 'pci';
    return {
      vm: this.#vm,
      timeNs,
      timed: isTimed,
      stageNs,
      vcpu,
      request: requestNumber,
      from: move.from,
      to: move.to,
      by: move.by,
      client: move.client ?? null,
      type: request?.type ?? null,
      direction: request?.direction ?? null,
      address: request === undefined || isPci ? null : request.address,
      pci: isPci
        ? `${hex(request.bus, 2).slice(2)}:${hex(request.device, 2).slice(2)}.${request.function} ${hex(request.register)}`
        : null,
      size: request?.size ?? null,
      value: request?.value ?? null,
      refused: move.isRefused,
      lost: move.lost,
    };
  }
}
