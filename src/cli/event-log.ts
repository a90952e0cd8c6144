/**
 * EventLog: prints a User VM's events for the operator, one line each.
 *
 * A guest can cause events at any rate, so at most EVENT_LINES_PER_SECOND are printed. The others
 * are counted, and each second ends with their counts. Events of held requests (`hold-…`) are
 * always printed: they say why the guest stands still, and a guest that stands still causes no
 * flood.
 */

import type { Clock, ClockTimer } from '../device-model/clock.js';
import { describeEvent, type UserVmEvent } from '../vm/user-vm-events.js';
import type { Reporter } from './reporter.js';

/** Events above this number are only counted until the second ends. */
export const EVENT_LINES_PER_SECOND = 20;

export class EventLog {
  readonly #reporter: Reporter;
  readonly #clock: Clock;
  readonly #withStacks: boolean;
  readonly #pageAddress: () => string | undefined;
  /** Events in the current second. */
  #lines = 0;
  /** How many events of each kind were not printed in it. */
  #suppressed = new Map<string, number>();
  #timer: ClockTimer | undefined;

  /** `pageAddress`: the address of the live page, if there is one. */
  constructor(
    reporter: Reporter,
    clock: Clock,
    withStacks = false,
    pageAddress: () => string | undefined = () => undefined,
  ) {
    this.#reporter = reporter;
    this.#clock = clock;
    this.#withStacks = withStacks;
    this.#pageAddress = pageAddress;
  }

  report(event: UserVmEvent): void {
    if (isRedundant(event)) return;
    if (isAboutHolds(event)) {
      const address = event.kind === 'hold-abandoned' ? this.#pageAddress() : undefined;
      this.#reporter.line(`${describeEvent(event)}${address === undefined ? '' : `. Open ${address}`}`);
      return;
    }
    this.#timer ??= this.#clock.schedule(this.#clock.now() + 1000, () => this.flush());
    if (++this.#lines > EVENT_LINES_PER_SECOND) {
      this.#suppressed.set(event.kind, (this.#suppressed.get(event.kind) ?? 0) + 1);
      return;
    }
    this.#reporter.line(describeEvent(event));
    if (this.#withStacks && 'stack' in event) this.#reporter.text(`${event.stack}\n`);
  }

  /** Reports the suppressed events. Called each second and at the end of a session. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#lines = 0;
    const suppressed = this.#suppressed;
    this.#suppressed = new Map();
    for (const [kind, count] of suppressed)
      this.#reporter.line(`${count} more events of kind ${kind} in the same second`);
  }
}

function isAboutHolds({ kind }: UserVmEvent): boolean {
  return kind === 'hold-abandoned' || kind === 'hold-resumed' || kind === 'hold-released';
}

/**
 * Whether another line says the same. `ended` adds nothing to the event of its cause (a power-off
 * and a reset loop have no other event), or to the operator's own action. Of a fault rule only the
 * first fault is printed: the final table counts the others.
 */
function isRedundant(event: UserVmEvent): boolean {
  if (event.kind === 'fault-injected') return event.nth > 1;
  if (event.kind !== 'ended') return false;
  const { reason } = event.end;
  return reason !== 'power-off' && reason !== 'reset-loop';
}
