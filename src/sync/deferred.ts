/**
 * Deferred: a promise with the functions that settle it (Promise.withResolvers, which Node 20 does
 * not have).
 *
 * Called by: code that settles a promise from a callback, such as the end of a thread.
 */

export class Deferred<T> {
  readonly promise: Promise<T>;
  #resolve: (value: T) => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;

  constructor() {
    this.promise = new Promise<T>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Has no effect once the promise is settled. */
  resolve(value: T): void {
    this.#resolve(value);
  }

  /** Has no effect once the promise is settled. */
  reject(error: Error): void {
    this.#reject(error);
  }
}
