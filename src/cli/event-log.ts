/**
 * EventLog: a User VM's events for the operator, a line each. A guest can cause events as often as
 * it likes, so there is a limit for each second; what is above it is not shown line by line but
 * counted, and the count is told.
 */

import type { Clock, ClockTimer } from '../device-model/clock.js';
import { describeEvent, type UserVmEvent } from '../vm/user-vm-events.js';
import type { Reporter } from './reporter.js';

/** Lines in a second; the rest of the second is one line. */
export const EVENT_LINES_PER_SECOND = 20;

export class EventLog {
  readonly #reporter: Reporter;
  readonly #clock: Clock;
  readonly #withStacks: boolean;
  #lines = 0;
  #left = new Map<string, number>();
  #timer: ClockTimer | undefined;

  constructor(reporter: Reporter, clock: Clock, withStacks = false) {
    this.#reporter = reporter;
    this.#clock = clock;
    this.#withStacks = withStacks;
  }

  hear(event: UserVmEvent): void {
    if (isTold(event)) return;
    this.#timer ??= this.#clock.schedule(this.#clock.now() + 1000, () => this.flush());
    if (++this.#lines > EVENT_LINES_PER_SECOND) {
      this.#left.set(event.kind, (this.#left.get(event.kind) ?? 0) + 1);
      return;
    }
    this.#reporter.line(describeEvent(event));
    if (this.#withStacks && 'stack' in event) this.#reporter.text(`${event.stack}\n`);
  }

  /** Tells what was only counted. Called each second, and by whoever ends the session. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#lines = 0;
    const left = this.#left;
    this.#left = new Map();
    for (const [kind, count] of left) this.#reporter.line(`${count} more events of kind ${kind} in the same second`);
  }
}

/**
 * The end of a VM has one line: its cause was told as an event of its own, or the operator ended it
 * himself. Of a fault rule the first fault is told, the rest is in the table at the end.
 */
function isTold(event: UserVmEvent): boolean {
  if (event.kind === 'fault-injected') return event.nth > 1;
  if (event.kind !== 'ended') return false;
  const { reason } = event.end;
  return reason !== 'power-off' && reason !== 'reset-loop';
}
