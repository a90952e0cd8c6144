/**
 * HsmLines: upcall's lines about programs and their VMs, at its own terminal, and at that of the
 * launcher (`upcall hsm --connect`) whose program they concern.
 *
 * Called by: hsm-session.ts.
 */

import type { AddressSpace } from '../acrn-hsm/address-space.js';
import type { RefusedIoctl } from '../acrn-hsm/refused-ioctls.js';
import { ForeignMemory } from '../acrn-programs/foreign-memory.js';
import { SystemClock } from '../device-model/clock.js';
import { LineLimit } from './line-limit.js';
import type { Reporter } from './reporter.js';

/** Prints a line at the terminal of the launcher that has started a process. */
type Relay = (line: string) => void;

export class HsmLines {
  readonly #reporter: Reporter;
  readonly #relayOf: (process: number) => Relay | undefined;
  readonly #refusals: LineLimit;

  constructor(reporter: Reporter, relayOf: (process: number) => Relay | undefined) {
    this.#reporter = reporter;
    this.#relayOf = relayOf;
    this.#refusals = new LineLimit({
      clock: new SystemClock(),
      print: (line) => reporter.line(line),
      rest: (count, ioctl) => `${count} more ${count === 1 ? 'refusal' : 'refusals'} of ${ioctl} in the same second`,
    });
  }

  /** `process`: the one that the line concerns, by its number or by the memory of its calls. */
  report(text: string, process?: number | AddressSpace): void {
    this.#reporter.line(text);
    this.#relay(process)?.(text);
  }

  /** A program may cause any number of these. */
  refused({ name, errno, reason, remedy }: RefusedIoctl, caller: AddressSpace): void {
    const line = `process ${processOf(caller)}: ${name} fails with ${errno}: ${reason}${remedy === undefined ? '' : `. ${remedy}`}`;
    if (this.#refusals.add(line, name)) this.#relay(caller)?.(line);
  }

  /** For lines about a VM of a process, which begin with `subject`. */
  about(subject: string, process: number | AddressSpace): Reporter {
    return this.#reporter.about(subject, this.#relay(process));
  }

  /** Prints what was only counted. */
  flush(): void {
    this.#refusals.flush();
  }

  #relay(of: number | AddressSpace | undefined): Relay | undefined {
    const process = typeof of === 'object' ? processOf(of) : of;
    return process === undefined ? undefined : this.#relayOf(process);
  }
}

/** The number of a calling process. Undefined if it has ended, or is this one. */
export function processOf(caller: AddressSpace): number | undefined {
  return caller instanceof ForeignMemory ? caller.process : undefined;
}
