/**
 * shrink: reduces an input while it still has a finding, first by removing bytes, then by zeroing.
 * The finding may become another one: what counts is that there is one.
 *
 * Called by: Player.
 */

/** Limit of the candidates that are played. */
export const MAX_TRIES = 400;
/** Time limit: a try may create a VM, or wait for one that hangs. */
export const MAX_MS = 30_000;

export async function shrink(
  input: Uint8Array,
  stillFails: (candidate: Uint8Array) => Promise<boolean>,
): Promise<Uint8Array> {
  const end = performance.now() + MAX_MS;
  let best = input;
  let tries = 0;
  const isBetter = async (candidate: Uint8Array): Promise<boolean> => {
    if (tries >= MAX_TRIES || performance.now() > end) return false;
    tries++;
    if (!(await stillFails(candidate))) return false;
    best = candidate;
    return true;
  };
  for (let chunk = Math.ceil(best.length / 2); chunk > 0; chunk = chunk === 1 ? 0 : Math.ceil(chunk / 2))
    for (let at = Math.max(0, best.length - chunk); at >= 0; at -= chunk)
      await isBetter(Uint8Array.from([...best.subarray(0, at), ...best.subarray(at + chunk)]));
  for (let at = 0; at < best.length; at++) if (best[at] !== 0) await isBetter(best.with(at, 0));
  return best;
}
