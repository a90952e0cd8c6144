/**
 * ReadWriteLock: operations that may run together, and those that must be alone, in the order in
 * which they ask.
 *
 * Called by: Qcow2Image. Callers must not ask for the lock while they hold it.
 */

/** An operation that asked for the lock and does not have it. */
interface Waiter {
  readonly isExclusive: boolean;
  /** Lets it run. The lock counts it as running by then. */
  readonly start: () => void;
}

export class ReadWriteLock {
  readonly #waiting: Waiter[] = [];
  /** How many operations have the lock. */
  #running = 0;
  #isExclusive = false;

  /** Runs `work` together with other shared operations. Settles as it does. */
  shared<T>(work: () => Promise<T>): Promise<T> {
    return this.#run({ isExclusive: false }, work);
  }

  /** Runs `work` alone. Settles as it does. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    return this.#run({ isExclusive: true }, work);
  }

  async #run<T>({ isExclusive }: Pick<Waiter, 'isExclusive'>, work: () => Promise<T>): Promise<T> {
    if (this.#waiting.length > 0 || !this.#admits(isExclusive))
      await new Promise<void>((start) => this.#waiting.push({ isExclusive, start }));
    else this.#enter(isExclusive);
    try {
      return await work();
    } finally {
      this.#running--;
      this.#isExclusive = false;
      this.#startNext();
    }
  }

  #admits(isExclusive: boolean): boolean {
    return this.#running === 0 || !(isExclusive || this.#isExclusive);
  }

  #enter(isExclusive: boolean): void {
    this.#running++;
    this.#isExclusive = isExclusive;
  }

  #startNext(): void {
    for (let next = this.#waiting[0]; next !== undefined && this.#admits(next.isExclusive); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#enter(next.isExclusive);
      next.start();
    }
  }
}
