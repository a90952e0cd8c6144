/**
 * The way of an uncaught error from the process to the session that may know whose it is.
 *
 * Called by: main.ts, which gets the errors and ends the process unless one is taken; runSession,
 * which takes those of its devices.
 */

/**
 * True if it is dealt with. Otherwise the names of devices that it may come from, or false if no
 * session knows.
 */
type Verdict = boolean | readonly string[];
type Taker = (error: unknown) => Verdict;

let taker: Taker | undefined;

/** From now on `take` gets the uncaught errors, until the returned function is called. */
export function takeUncaught(take: Taker): () => void {
  taker = take;
  return () => {
    if (taker === take) taker = undefined;
  };
}

/** False if there is no session. */
export function verdictOn(error: unknown): Verdict {
  return taker?.(error) ?? false;
}
