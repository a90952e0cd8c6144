/**
 * Probes: what code that is explored tells the explorer beside its accesses to shared memory.
 *
 * The explorer puts its own functions in the place of these. They run as they stand only where
 * somebody runs a model as ordinary code, without a search.
 */

/** A note for the watcher of a model. It takes no time. */
export const note: (name: string, ...numbers: number[]) => void = () => undefined;

/**
 * A task that this thread's event loop runs once, at any turn: the next one or a much later one.
 */
export const offer: (name: string, task: () => void | Promise<void>) => void = () => undefined;

/** Resolves when the thread with the exit number `exit` (see ThreadPlan) has ended. */
export const threadEnd: (exit: number) => Promise<void> = () => new Promise(() => undefined);
