/**
 * Redraw rate: how often changing data is drawn. Normally at each screen refresh. Slowly for users
 * whose system asks for reduced motion: they can read each value.
 */

const REDUCED_FRAME_MS = 500;
const REDUCED_LIST_MS = 1500;
/** A list that changes faster cannot be read. */
const LIST_MS = 125;

const reducedMotion = matchMedia('(prefers-reduced-motion: reduce)');

/** Calls `draw` once. */
export function onNextFrame(draw: () => void): void {
  if (reducedMotion.matches) setTimeout(draw, REDUCED_FRAME_MS);
  else requestAnimationFrame(draw);
}

export function listIntervalMs(): number {
  return reducedMotion.matches ? REDUCED_LIST_MS : LIST_MS;
}
