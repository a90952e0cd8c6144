/**
 * Redraw rate: how often changing data is drawn. Slots are normally drawn at each screen refresh,
 * and lists at most eight times a second. For users whose system asks for reduced motion, these are
 * two times a second and once in 1.5 s.
 *
 * Called by: Live.
 */

const REDUCED_FRAME_MS = 500;
const REDUCED_LIST_MS = 1500;
/** A list that changes faster cannot be read. */
const LIST_MS = 125;

const reducedMotion = matchMedia('(prefers-reduced-motion: reduce)');

/** Calls `draw` once, when the slots may be drawn again. */
export function onNextFrame(draw: () => void): void {
  if (reducedMotion.matches) setTimeout(draw, REDUCED_FRAME_MS);
  else requestAnimationFrame(draw);
}

/** Time between two drawings of a list. */
export function listIntervalMs(): number {
  return reducedMotion.matches ? REDUCED_LIST_MS : LIST_MS;
}
