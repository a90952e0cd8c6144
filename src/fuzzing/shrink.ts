/**
 * Makes an input that shows something smaller, as long as it still shows it: fewer bytes first,
 * then zeros for bytes.
 */

export const MAX_TRIES = 400;
/** Tries are dear where each makes a VM, or waits for one that hangs. */
export const MAX_MS = 30_000;

export async function shrink(
  input: Uint8Array,
  stillShows: (candidate: Uint8Array) => Promise<boolean>,
): Promise<Uint8Array> {
  const end = performance.now() + MAX_MS;
  let best = input;
  let tries = 0;
  const isBetter = async (candidate: Uint8Array): Promise<boolean> => {
    if (tries >= MAX_TRIES || performance.now() > end) return false;
    tries++;
    if (!(await stillShows(candidate))) return false;
    best = candidate;
    return true;
  };
  for (let piece = Math.ceil(best.length / 2); piece > 0; piece = piece === 1 ? 0 : Math.ceil(piece / 2))
    for (let at = Math.max(0, best.length - piece); at >= 0; at -= piece)
      await isBetter(Uint8Array.from([...best.subarray(0, at), ...best.subarray(at + piece)]));
  for (let at = 0; at < best.length; at++) if (best[at] !== 0) await isBetter(best.with(at, 0));
  return best;
}
