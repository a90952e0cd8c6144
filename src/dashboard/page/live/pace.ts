/**
 * How often what changes is drawn: as often as the screen is; and slowly for readers who have asked their system for less
 * motion, who then read the numbers of an instant instead of a flicker.
 */

const CALM_FRAME_MS = 500;
const CALM_LIST_MS = 1500;
/** Nobody reads a list that changes more often than this. */
const LIST_MS = 125;

const calm = matchMedia('(prefers-reduced-motion: reduce)');

/** `draw` is called once, soon. */
export function onNextFrame(draw: () => void): void {
  if (calm.matches) setTimeout(draw, CALM_FRAME_MS);
  else requestAnimationFrame(draw);
}

export function listEveryMs(): number {
  return calm.matches ? CALM_LIST_MS : LIST_MS;
}
