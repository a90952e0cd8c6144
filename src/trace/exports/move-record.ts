/**
 * MoveRecord: a move as one flat row, for formats that have columns. JSON Lines and Parquet take
 * their fields from here.
 */

import { hex } from '../../io-request/io-request.js';
import { SLOT_COUNT } from '../../io-request/layout.js';
import type { Move } from '../move.js';

export interface MoveRecord {
  readonly vm: string;
  readonly timeNs: number;
  /** False in a burst: the move was not before `timeNs`, and not after the slot's next one. */
  readonly timed: boolean;
  /**
   * Since the same request's move before; null for its first, and where one of both has no time or
   * was lost.
   */
  readonly stageNs: number | null;
  readonly vcpu: number;
  readonly request: number;
  readonly from: string;
  readonly to: string;
  readonly by: string;
  readonly client: string | null;
  readonly type: string | null;
  readonly direction: string | null;
  /** Null for PCI. */
  readonly address: number | null;
  /** `00:1f.2 0x10`: bus, device, function, register; null for all but PCI. */
  readonly pci: string | null;
  readonly size: number | null;
  /** Up to 64 bits, unsigned. */
  readonly value: number | bigint | null;
  readonly refused: boolean;
  readonly lost: number;
}

export class MoveRecords {
  readonly #vm: string;
  readonly #lastNs = new Float64Array(SLOT_COUNT).fill(-1);
  /** -1: the slot's last move has no time that a stage could begin at. */
  readonly #request = new Float64Array(SLOT_COUNT).fill(-1);

  constructor(vm: string) {
    this.#vm = vm;
  }

  record(move: Move): MoveRecord {
    const { vcpu, timeNs, isTimed, request, requestNumber } = move;
    const isSame = isTimed && this.#request[vcpu] === requestNumber && move.to !== 'PENDING' && move.lost === 0;
    const stageNs = isSame ? timeNs - (this.#lastNs[vcpu] as number) : null;
    this.#lastNs[vcpu] = timeNs;
    this.#request[vcpu] = isTimed ? requestNumber : -1;
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
