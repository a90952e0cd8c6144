/**
 * StateTable: the states that a search has seen, by their 64-bit hash. Called by:
 * exhaustive-search.ts and shortest-search.ts.
 *
 * Two different states with one hash would be taken for one. For n states that happens with a
 * probability of about n² / 2^65: 3 in a million for ten million states.
 */

const CLOSED = -1;
/** The load factor above which the table is doubled. */
const MAX_LOAD = 0.7;

export class StateTable {
  /** States in it. They are numbered from 0. */
  count = 0;
  #mask = (1 << 16) - 1;
  #low = new Int32Array(1 << 16);
  #high = new Int32Array(1 << 16);
  /** State number + 1, or 0 for an empty cell. */
  #cells = new Int32Array(1 << 16);
  /** By state number. Room for as many as the table may hold now. */
  #orders = new Int32Array((1 << 16) * MAX_LOAD);
  #schedules = new Float64Array((1 << 16) * MAX_LOAD);

  /** The number of a state, or −1 if it was not seen. */
  find(low: number, high: number): number {
    return (this.#cells[this.#cellOf(low, high)] as number) - 1;
  }

  /** Adds a new state. `order`: its index among the open states of the search (Tarjan's stack). */
  add(low: number, high: number, order: number): number {
    if (this.count >= this.#schedules.length) this.#grow();
    const cell = this.#cellOf(low, high);
    this.#low[cell] = low;
    this.#high[cell] = high;
    const state = this.count++;
    this.#cells[cell] = state + 1;
    this.#orders[state] = order;
    return state;
  }

  /** The index of a state among the open ones. Below 0: closed. */
  order(state: number): number {
    return this.#orders[state] as number;
  }

  close(state: number): void {
    this.#orders[state] = CLOSED;
  }

  /** How many schedules lead on from a closed state. */
  schedules(state: number): number {
    return this.#schedules[state] as number;
  }

  setSchedules(state: number, schedules: number): void {
    this.#schedules[state] = schedules;
  }

  #cellOf(low: number, high: number): number {
    let cell = low & this.#mask;
    while (this.#cells[cell] !== 0 && !(this.#low[cell] === low && this.#high[cell] === high))
      cell = (cell + 1) & this.#mask;
    return cell;
  }

  #grow(): void {
    const { length } = this.#cells;
    const [lows, highs, cells] = [this.#low, this.#high, this.#cells];
    this.#mask = length * 2 - 1;
    this.#low = new Int32Array(length * 2);
    this.#high = new Int32Array(length * 2);
    this.#cells = new Int32Array(length * 2);
    for (let at = 0; at < length; at++) {
      if (cells[at] === 0) continue;
      const cell = this.#cellOf(lows[at] as number, highs[at] as number);
      this.#low[cell] = lows[at] as number;
      this.#high[cell] = highs[at] as number;
      this.#cells[cell] = cells[at] as number;
    }
    const orders = new Int32Array(length * 2 * MAX_LOAD);
    orders.set(this.#orders);
    this.#orders = orders;
    const schedules = new Float64Array(length * 2 * MAX_LOAD);
    schedules.set(this.#schedules);
    this.#schedules = schedules;
  }
}
