/**
 * Probes: calls of explored code to the explorer, beside its accesses to shared memory.
 *
 * The explorer replaces these functions by its own. They run as they stand only if a model is run
 * as ordinary code, without a search.
 *
 * Called by: explored code.
 */

/**
 * A note for the watcher of a model (Watcher.note). It takes no time: no other thread can notice
 * it.
 */
export const note: (name: string, ...numbers: number[]) => void = () => undefined;

/**
 * A task that this thread's event loop runs once, at any turn: the next one or a much later one.
 */
export const offer: (name: string, task: () => void | Promise<void>) => void = () => undefined;

/** Resolves when the thread with the exit number `exit` (see ThreadPlan) has ended. */
export const threadEnd: (exit: number) => Promise<void> = () => new Promise(() => undefined);
