/**
 * StateTable: the states that a search has seen, by their 64-bit hash. Two different states with one hash would be taken
 * for one: for n states that happens with a probability of about n² / 2^65, 3 in a million for ten million states.
 */

const DONE = -1;
/** How full the table may become before it is made twice as large. */
const MAX_LOAD = 0.7;

export class StateTable {
  /** States in it; they are numbered from 0. */
  count = 0;
  #mask = (1 << 16) - 1;
  #low = new Int32Array(1 << 16);
  #high = new Int32Array(1 << 16);
  /** State number + 1; 0: free. */
  #slots = new Int32Array(1 << 16);
  /** By number; as many as the table may hold now. */
  #orders = new Int32Array((1 << 16) * MAX_LOAD);
  #schedules = new Float64Array((1 << 16) * MAX_LOAD);

  /** The number of a state, −1: not seen. */
  find(low: number, high: number): number {
    return (this.#slots[this.#slotOf(low, high)] as number) - 1;
  }

  /** A new state. `order`: its place among those that the search is not done with. */
  add(low: number, high: number, order: number): number {
    if (this.count >= this.#schedules.length) this.#grow();
    const slot = this.#slotOf(low, high);
    this.#low[slot] = low;
    this.#high[slot] = high;
    const state = this.count++;
    this.#slots[slot] = state + 1;
    this.#orders[state] = order;
    return state;
  }

  /** Its place among the open states; below 0: the search is done with it. */
  order(state: number): number {
    return this.#orders[state] as number;
  }

  close(state: number): void {
    this.#orders[state] = DONE;
  }

  schedules(state: number): number {
    return this.#schedules[state] as number;
  }

  setSchedules(state: number, schedules: number): void {
    this.#schedules[state] = schedules;
  }

  #slotOf(low: number, high: number): number {
    let slot = low & this.#mask;
    while (this.#slots[slot] !== 0 && !(this.#low[slot] === low && this.#high[slot] === high))
      slot = (slot + 1) & this.#mask;
    return slot;
  }

  #grow(): void {
    const { length } = this.#slots;
    const [lows, highs, slots] = [this.#low, this.#high, this.#slots];
    this.#mask = length * 2 - 1;
    this.#low = new Int32Array(length * 2);
    this.#high = new Int32Array(length * 2);
    this.#slots = new Int32Array(length * 2);
    for (let at = 0; at < length; at++) {
      if (slots[at] === 0) continue;
      const slot = this.#slotOf(lows[at] as number, highs[at] as number);
      this.#low[slot] = lows[at] as number;
      this.#high[slot] = highs[at] as number;
      this.#slots[slot] = slots[at] as number;
    }
    const orders = new Int32Array(length * 2 * MAX_LOAD);
    orders.set(this.#orders);
    this.#orders = orders;
    const schedules = new Float64Array(length * 2 * MAX_LOAD);
    schedules.set(this.#schedules);
    this.#schedules = schedules;
  }
}
