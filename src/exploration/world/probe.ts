/**
 * What the actors of an explored world tell the explorer. The explorer puts its own functions in the place of these,
 * which are called only if somebody runs an actor as ordinary code; then nobody listens.
 */

/** A note to the invariants; it takes no time. */
export function note(name: string, ...numbers: number[]): void {
  void name;
  void numbers;
}

/** Something that this thread's event loop does once, whenever it comes to it: now, or much later. */
export function offer(name: string, task: () => void | Promise<void>): void {
  void name;
  void task;
}

/** Resolves when the thread of device `device` has ended. */
export function threadEnd(device: number): Promise<void> {
  void device;
  return new Promise(() => undefined);
}
