/**
 * SlotObserver: who watches one slot's moves (trace/). A method for each move, because what one has to ask takes longer than
 * what it does; nothing of it may throw. `isMade` is false when the move was refused.
 *
 * Three of the four moves are told when they were made: what the mover writes down then delays nobody, because the other
 * side is at work already. Before a move to PENDING its watcher hears that one is due, so that whoever reads what the
 * watchers of both sides write knows that there is something to wait for. `completing` is for a thread that is not the one
 * which assigns: once the slot is COMPLETE, that one may have the slot's next request.
 */
export interface SlotObserver {
  /** Its first word is not 0 while moves are to be told, which may change at any time. A look at it for each move is all that a watcher costs meanwhile. */
  readonly enabled: Int32Array;
  filling(): void;
  /** The request as it was filled: in the page it may be answered by now. PCI's own words begin at `base` of `page`. */
  filled(
    isMade: boolean,
    type: number,
    direction: number,
    addressLow: number,
    addressHigh: number,
    size: number,
    valueLow: number,
    valueHigh: number,
    page: Int32Array,
    base: number,
  ): void;
  /** `page` and `base` say where the slot's words begin: asking the slot for each would cost more than all else. */
  assigned(isMade: boolean, page: Int32Array, base: number): void;
  completing(from: number, valueLow: number, valueHigh: number): void;
  completed(isMade: boolean, from: number, valueLow: number, valueHigh: number): void;
  released(isMade: boolean, from: number): void;
}
