/**
 * TicketCounter: the numbers of a slot's assignments, from 1 to 2^31 − 1 and again from 1. 0 means
 * "not assigned", and a negative number "being finished" (request-finisher.ts).
 *
 * Called by: SlotAssignment, once for each assignment.
 */

const MAX_TICKET = 0x7fff_ffff;

export class TicketCounter {
  #last: number;

  /** Continues after `last`, for tests. Default: the first ticket is 1. */
  constructor(last = 0) {
    this.#last = last;
  }

  next(): number {
    this.#last = this.#last === MAX_TICKET ? 1 : this.#last + 1;
    return this.#last;
  }
}
