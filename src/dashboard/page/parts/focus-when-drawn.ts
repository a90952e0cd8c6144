/**
 * Focuses an element that a signal, changed just before, makes Preact draw. Preact draws in a
 * microtask, and this runs in the next one: the focus has moved before the next key. An animation
 * frame would be too late.
 *
 * Called by: the app (app.tsx), for the panels that keys open.
 */
export function focusWhenDrawn(find: () => HTMLElement | null): void {
  queueMicrotask(() => find()?.focus());
}
