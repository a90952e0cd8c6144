/**
 * MoveFilter: selects the requests whose moves a watcher gets.
 *
 * Called by: VmTrace and MoveSampler, with the filter that the user gave.
 *
 * A request is matched once, when its client is known. Then all of its moves pass or none: the move
 * to PENDING is held until then.
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
 * Whether a move's request matches. A request that was lost matches only filters without a type,
 * direction and address.
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
  readonly #needsClient: boolean;
  /** By slot: the move to PENDING that is held until its request is matched. */
  readonly #held: (Move | undefined)[] = Array.from({ length: SLOT_COUNT });
  /** By slot: whether the request matches. Undefined until that is known. */
  readonly #passes: (boolean | undefined)[] = Array.from({ length: SLOT_COUNT });

  constructor(filter: MoveFilter) {
    this.#filter = filter;
    this.#needsClient = filter.client !== undefined || filter.type !== undefined || filter.address !== undefined;
  }

  /**
   * Passes the move, and one that was held, to `take` if its request matches. In the slot's order.
   */
  apply(move: Move, take: (move: Move) => void): void {
    const { vcpu } = move;
    if (move.to === 'PENDING') {
      this.#held[vcpu] = undefined;
      if (this.#needsClient) {
        this.#held[vcpu] = move;
        return;
      }
      this.#passes[vcpu] = matches(this.#filter, move);
    } else {
      const held = this.#held[vcpu];
      this.#held[vcpu] = undefined;
      if (held !== undefined || move.lost > 0 || this.#passes[vcpu] === undefined)
        this.#passes[vcpu] = matches(this.#filter, move);
      if (held !== undefined && this.#passes[vcpu]) take(held);
    }
    if (this.#passes[vcpu]) take(move);
  }

  /** At the end: passes the held moves of requests that were never assigned. */
  rest(take: (move: Move) => void): void {
    for (const held of this.#held.splice(0)) if (held !== undefined && matches(this.#filter, held)) take(held);
  }
}
