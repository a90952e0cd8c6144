/**
 * PollDelay: keeps a waiter away from the word it waits for until its work can be expected. One for each waiter.
 *
 * Every look at a word takes its cache line from the core of whoever is about to write it, who then has to fetch it back
 * before the next move: a look that comes too early makes the work come later, by as much as the hand-over itself takes. So
 * a vCPU that has made a request first waits for about as long as its requests mostly take, without looking at memory.
 * It learns that from its first looks: each that finds the work makes the next wait a little shorter, each that comes too
 * early makes it longer, so that about one in STEPS_UP is too early.
 */

/** The longest wait, in steps of about a nanosecond: work is found at most so much later than it came. */
export const MAX_DELAY_STEPS = 512;
/** How much longer the wait becomes when the first look came too early; a look in time makes it one step shorter. */
const STEPS_UP = 8;
/** Work that comes so many looks after the first one is of another kind: it says nothing of how long the others take. */
const OUTLIER_POLLS = 256;

export class PollDelay {
  #steps = 0;
  /** What the steps compute, so that they are not optimised away. */
  #sum = 0;

  get steps(): number {
    return this.#steps;
  }

  /** Says whether there was anything to wait for. */
  wait(): boolean {
    const steps = this.#steps;
    let sum = this.#sum;
    for (let i = steps; i > 0; i--) sum = (Math.imul(sum, 7) + i) | 0;
    this.#sum = sum;
    return steps > 0;
  }

  /** Waits, and then looks until there is work. */
  until(hasWorkRelaxed: () => boolean): void {
    this.wait();
    if (hasWorkRelaxed()) {
      this.inTime();
      return;
    }
    let looks = 0;
    while (!hasWorkRelaxed()) if (looks < OUTLIER_POLLS) looks++;
    this.tooEarly(looks);
  }

  /** The first look after the wait found the work. */
  inTime(): void {
    if (this.#steps > 0) this.#steps--;
  }

  /** The work was found after `looks` more looks. */
  tooEarly(looks: number): void {
    if (looks < OUTLIER_POLLS) this.#steps = Math.min(MAX_DELAY_STEPS, this.#steps + STEPS_UP);
  }
}
