/**
 * MoveFilter: selects the requests whose moves (changes of a slot's state) a reader of the trace
 * gets. CompiledMoveFilter applies it to a sequence of moves.
 *
 * Called by: VmTrace and MoveSampler, with the filter that the user gave.
 *
 * A request is matched once, when its client is known, and then either all of its moves pass or
 * none does, unless moves of it were lost. Its move to PENDING comes before that and is kept until
 * then. Type and address may change until then as well: the HSM makes PCI requests of some port
 * accesses.
 */

import { SLOT_COUNT } from '../io-request/layout.js';
import type { DirectionName, IoRequest } from '../io-request/io-request.js';
import type { Move } from './move.js';

/** All fields that are present must match. An empty filter matches every request. */
export interface MoveFilter {
  /** Name of the client. */
  readonly client?: string;
  readonly type?: IoRequest['type'];
  /** First and last address, both inclusive. PCI requests have no address and do not match. */
  readonly address?: { readonly from: number; readonly to: number };
  /** Index of the slot, 0 to 15. */
  readonly vcpu?: number;
  readonly direction?: DirectionName;
}

/**
 * Whether a move's request matches. If the entry with the request was lost, only filters without a
 * type, direction and address match.
 */
export function matches(filter: MoveFilter, { vcpu, client, request }: Move): boolean {
  if (filter.vcpu !== undefined && filter.vcpu !== vcpu) return false;
  if (filter.client !== undefined && filter.client !== client) return false;
  if (filter.type === undefined && filter.direction === undefined && filter.address === undefined) return true;
  if (request === undefined) return false;
  if (filter.type !== undefined && filter.type !== request.type) return false;
  if (filter.direction !== undefined && filter.direction !== request.direction) return false;
  if (filter.address === undefined) return true;
  return request.type !== 'pci' && request.address >= filter.address.from && request.address <= filter.address.to;
}

export class CompiledMoveFilter {
  readonly #filter: MoveFilter;
  /** Whether the move to PENDING cannot decide. It has vCPU and direction already. */
  readonly #waitsForClient: boolean;
  /** By slot: the move to PENDING of a request that is not matched yet. */
  readonly #kept: (Move | undefined)[] = Array.from({ length: SLOT_COUNT });
  /** By slot: whether the request matches. Undefined until that is known. */
  readonly #passes: (boolean | undefined)[] = Array.from({ length: SLOT_COUNT });

  constructor(filter: MoveFilter) {
    this.#filter = filter;
    this.#waitsForClient = filter.client !== undefined || filter.type !== undefined || filter.address !== undefined;
  }

  /**
   * Passes the move to `take` if its request matches, after the move to PENDING if that was kept.
   * The caller must pass the moves of a slot in order.
   */
  apply(move: Move, take: (move: Move) => void): void {
    const { vcpu } = move;
    if (move.to === 'PENDING') {
      if (this.#waitsForClient) {
        this.#kept[vcpu] = move;
        return;
      }
      this.#passes[vcpu] = matches(this.#filter, move);
    } else {
      let kept = this.#kept[vcpu];
      this.#kept[vcpu] = undefined;
      if (kept !== undefined && kept.requestNumber !== move.requestNumber) {
        // The rest of its request was lost.
        if (matches(this.#filter, kept)) take(kept);
        kept = undefined;
      }
      if (kept !== undefined || move.lost > 0 || this.#passes[vcpu] === undefined)
        this.#passes[vcpu] = matches(this.#filter, move);
      if (kept !== undefined && this.#passes[vcpu]) take(kept);
    }
    if (this.#passes[vcpu]) take(move);
  }

  /**
   * Call it once, after the last move: passes the kept moves of requests that were never assigned
   * to a client.
   */
  flush(take: (move: Move) => void): void {
    for (const kept of this.#kept.splice(0)) if (kept !== undefined && matches(this.#filter, kept)) take(kept);
  }
}
