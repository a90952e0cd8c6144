/**
 * EventLog: prints a User VM's events for the operator, one line each.
 *
 * A guest can cause events at any rate, so LineLimit counts what repeats and what is too much. What
 * ends the VM or one of its devices is always printed, at once. So is what becomes of held requests
 * (`hold-…`), which says why the guest stands still, and of a file that was saved (`--watch`).
 *
 * Called by: runSession and VmTools, with each event of their VM.
 */

import type { Clock } from '../device-model/clock.js';
import { PROMISE_OPEN } from '../device-model/device-client.js';
import { describeEvent, type UserVmEvent } from '../vm/user-vm-events.js';
import { LineLimit } from './line-limit.js';
import type { Reporter } from './reporter.js';

export class EventLog {
  readonly #reporter: Reporter;
  readonly #withStacks: boolean;
  readonly #pageAddress: () => string | undefined;
  readonly #limit: LineLimit;
  /** Messages of the events that end a VM, which its `ended` event repeats. */
  readonly #causes = new Set<string>();

  /**
   * `withStacks`: prints the stacks that events have. `pageAddress`: the address of the live page,
   * if there is one.
   */
  constructor(
    reporter: Reporter,
    clock: Clock,
    withStacks = false,
    pageAddress: () => string | undefined = () => undefined,
  ) {
    this.#reporter = reporter;
    this.#limit = new LineLimit({
      clock,
      print: (line) => reporter.line(line),
      rest: (count, kind) => `${count} more ${count === 1 ? 'event' : 'events'} of kind ${kind} in the same second`,
    });
    this.#withStacks = withStacks;
    this.#pageAddress = pageAddress;
  }

  report(event: UserVmEvent): void {
    if (this.#isRedundant(event)) return;
    const address = event.kind === 'hold-abandoned' ? this.#pageAddress() : undefined;
    const advice = address === undefined ? adviceOn(event) : `Open ${address}`;
    const line = `${describeEvent(event)}${advice === undefined ? '' : `. ${advice}`}`;
    // What led to the end comes before it.
    if (isFinal(event)) this.flush();
    if (isFinal(event) || isForOperator(event)) {
      this.#reporter.line(line);
      this.#printStack(event);
    } else if (this.#limit.add(line, event.kind)) this.#printStack(event);
  }

  /** Reports what was only counted. Called at the end of a session. */
  flush(): void {
    this.#limit.flush();
  }

  #printStack(event: UserVmEvent): void {
    if (this.#withStacks && 'stack' in event) this.#reporter.text(`${event.stack}\n`);
  }

  /**
   * Whether another line says the same. The end of a VM adds nothing to the event of its cause, or
   * to the operator's own action. Of a fault rule only the first fault is printed: the final table
   * counts the others.
   */
  #isRedundant(event: UserVmEvent): boolean {
    if (event.kind === 'fault-injected') return event.nth > 1;
    if (event.kind === 'halted' || event.kind === 'triple-fault' || event.kind === 'crashed')
      this.#causes.add(event.message);
    if (event.kind !== 'ended') return false;
    return event.end.reason === 'destroyed' || this.#causes.has(event.end.message);
  }
}

/** What an option of the command line adds to the event. */
function adviceOn(event: UserVmEvent): string | undefined {
  // A device with a thread has a detail of its own: no stacks are recorded in its thread.
  const isLateHere = event.kind === 'client-late' && event.stack === undefined && event.detail === PROMISE_OPEN;
  return isLateHere ? 'Add --late-stacks to see where it waits' : undefined;
}

/** Whether the event is the result of what the operator did. A guest cannot cause it. */
function isForOperator({ kind }: UserVmEvent): boolean {
  switch (kind) {
    case 'hold-abandoned':
    case 'hold-resumed':
    case 'hold-released':
    case 'device-reloaded':
    case 'reload-failed':
      return true;
    default:
      return false;
  }
}

/** Whether the event says why a VM, a vCPU or a device has ended. A guest cannot cause many. */
function isFinal(event: UserVmEvent): boolean {
  switch (event.kind) {
    case 'ended':
    case 'halted':
    case 'triple-fault':
    case 'crashed':
    case 'device-lost':
      return true;
    // The default client stays, so a guest can cause any number of these.
    case 'client-failed':
      return event.isDefault !== true;
    case 'client-late':
      return event.policy === 'all-ones' && event.isDefault !== true;
    case 'device-error':
      return event.during === 'outside';
    default:
      return false;
  }
}
