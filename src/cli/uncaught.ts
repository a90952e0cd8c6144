/**
 * The way of an uncaught error from the process to the session that may know whose it is.
 *
 * Called by: main.ts, which gets the errors and ends the process unless one is taken; runSession,
 * which takes those of its devices.
 */

type Taker = (error: unknown) => boolean;

let taker: Taker | undefined;

/** From now on `take` gets the uncaught errors, and returns true for those that are dealt with. */
export function takeUncaught(take: Taker): () => void {
  taker = take;
  return () => {
    if (taker === take) taker = undefined;
  };
}

/** Returns false if no session takes the error. */
export function isTaken(error: unknown): boolean {
  return taker?.(error) === true;
}
