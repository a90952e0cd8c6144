/**
 * What the actors of an explored world tell the explorer. The explorer puts its own functions in the place of these,
 * which are called only if somebody runs an actor as ordinary code; then nobody listens.
 */

/** A note to the invariants; it takes no time. */
export const note: (name: string, ...numbers: number[]) => void = () => undefined;

/** Something that this thread's event loop does once, whenever it comes to it: now, or much later. */
export const offer: (name: string, task: () => void | Promise<void>) => void = () => undefined;

/** Resolves when the thread of device `device` has ended. */
export const threadEnd: (device: number) => Promise<void> = () => new Promise(() => undefined);
