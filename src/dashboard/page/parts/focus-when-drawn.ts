/**
 * Focuses what a change of a signal, made just before, draws. That is drawn in a microtask, and this comes in the next: the
 * key that follows finds the focus where it belongs. A frame would be too late, and take the focus from who has it by then.
 */
export function focusWhenDrawn(find: () => HTMLElement | null): void {
  queueMicrotask(() => find()?.focus());
}
