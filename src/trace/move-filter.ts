/**
 * MoveFilter: which requests a watcher wants to see. A request is judged once, when it is known who got it, and then all
 * of its moves are shown or none: the move to PENDING waits for that.
 */

import { SLOT_COUNT } from '../io-request/layout.js';
import type { DirectionName, IoRequest } from '../io-request/io-request.js';
import type { Move } from './move.js';

/** All that are given have to hold. */
export interface MoveFilter {
  readonly client?: string;
  readonly type?: IoRequest['type'];
  /** First and last address, both inclusive; PCI requests have none. */
  readonly address?: { readonly from: number; readonly to: number };
  readonly vcpu?: number;
  readonly direction?: DirectionName;
}

/** Whether a move's request is one of those; a request that was lost is none. */
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
  /** Of each slot, the move to PENDING that waits to be judged. */
  readonly #held: (Move | undefined)[] = Array.from({ length: SLOT_COUNT });
  /** Of each slot's request; undefined while it is not judged. */
  readonly #wanted: (boolean | undefined)[] = Array.from({ length: SLOT_COUNT });

  constructor(filter: MoveFilter) {
    this.#filter = filter;
    this.#needsClient = filter.client !== undefined || filter.type !== undefined || filter.address !== undefined;
  }

  /** Gives `take` what is wanted, in the slot's order. */
  apply(move: Move, take: (move: Move) => void): void {
    const { vcpu } = move;
    if (move.to === 'PENDING') {
      this.#held[vcpu] = undefined;
      if (this.#needsClient) {
        this.#held[vcpu] = move;
        return;
      }
      this.#wanted[vcpu] = matches(this.#filter, move);
    } else {
      const held = this.#held[vcpu];
      this.#held[vcpu] = undefined;
      if (held !== undefined || move.lost > 0 || this.#wanted[vcpu] === undefined)
        this.#wanted[vcpu] = matches(this.#filter, move);
      if (held !== undefined && this.#wanted[vcpu]) take(held);
    }
    if (this.#wanted[vcpu]) take(move);
  }

  /** The requests that nobody was given until the end. */
  rest(take: (move: Move) => void): void {
    for (const held of this.#held.splice(0)) if (held !== undefined && matches(this.#filter, held)) take(held);
  }
}
