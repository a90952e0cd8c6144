/**
 * MoveWatcher: who watches one slot's moves (trace/). It is told of a move before it is made, while the mover still owns the slot and
 * nobody else writes, and answers whether it wants to hear when it was made; what was refused it hears anyway. Nothing of
 * it may throw. A method for each move, because what one has to ask takes longer than what it does.
 *
 * `page` and `base` say where the slot's words begin: asking the slot for each would cost more than all else.
 */
export interface MoveWatcher {
  /** Its first word is not 0 while moves are to be told, which may change at any time. A look at it before each move is all that a watcher costs meanwhile. */
  readonly watching: Int32Array;
  filling(page: Int32Array, base: number): boolean;
  assigning(page: Int32Array, base: number): boolean;
  completing(from: number, page: Int32Array, base: number): boolean;
  releasing(from: number): boolean;
  /** The slot may be another's by now. */
  moved(): void;
  refused(): void;
}
