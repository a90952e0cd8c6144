/**
 * LineLimit: prints lines that a guest or a program can cause at any rate. A line that repeats
 * within a second is counted. At the end of the second the count is printed: by kind if the line
 * was the only one of its kind, so that no text comes twice, otherwise with the line. Of more than
 * LINES_PER_SECOND different lines the rest is counted by kind.
 *
 * Called by: EventLog; HsmLines, for refused ioctls.
 */

import type { Clock, ClockTimer } from '../device-model/clock.js';

/** Different lines above this number are only counted until the second ends. */
export const LINES_PER_SECOND = 20;

export interface LineLimitOptions {
  readonly clock: Clock;
  readonly print: (line: string) => void;
  /** The line for `count` lines of a kind that were not printed. */
  readonly rest: (count: number, kind: string) => string;
}

export class LineLimit {
  readonly #options: LineLimitOptions;
  /** How many times each line came in the current second, the first time included, and its kind. */
  #lines = new Map<string, { readonly kind: string; count: number }>();
  /** How many lines of each kind are not in `#lines`. */
  #suppressed = new Map<string, number>();
  #timer: ClockTimer | undefined;

  constructor(options: LineLimitOptions) {
    this.#options = options;
  }

  /** Returns whether the line was printed now. */
  add(line: string, kind: string): boolean {
    const { clock, print } = this.#options;
    this.#timer ??= clock.schedule(clock.now() + 1000, () => this.flush());
    const known = this.#lines.get(line);
    if (known !== undefined) known.count++;
    else if (this.#lines.size < LINES_PER_SECOND) {
      this.#lines.set(line, { kind, count: 1 });
      print(line);
      return true;
    } else this.#suppressed.set(kind, (this.#suppressed.get(kind) ?? 0) + 1);
    return false;
  }

  /** Prints what was only counted. A timer calls it at the end of each second that had a line. */
  flush(): void {
    const { print, rest } = this.#options;
    this.#timer?.cancel();
    this.#timer = undefined;
    const [lines, suppressed] = [this.#lines, this.#suppressed];
    this.#lines = new Map();
    this.#suppressed = new Map();
    const kinds = new Map<string, number>();
    for (const { kind } of lines.values()) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    for (const [line, { kind, count }] of lines) {
      if (count === 1) continue;
      const isOnlyOne = kinds.get(kind) === 1 && !suppressed.has(kind);
      print(isOnlyOne ? rest(count - 1, kind) : `${count - 1} more times in the same second: ${line}`);
    }
    for (const [kind, count] of suppressed) print(rest(count, kind));
  }
}
