/**
 * InterruptSampler: samples a VM's interrupt lines, messages and doorbells as an `interrupts`
 * message, if there is a change.
 *
 * Called by: LiveView, four times a second while a page watches interrupts.
 * Threads: the Service VM's.
 */

import type { UserVm } from '../vm/user-vm.js';
import type { InterruptState } from '../vm/vm-interrupts.js';
import { MAX_MESSAGE_ROWS, type Interrupts } from './protocol.js';

export class InterruptSampler {
  readonly #vm: UserVm;
  /** The message of the last `sample`. */
  #sent = '';

  constructor(vm: UserVm) {
    this.#vm = vm;
  }

  /** The message as text. Undefined: it is the same as that of the last call. */
  sample(): string | undefined {
    const text = JSON.stringify(interruptsMessage(this.#vm.inspection.interrupts()));
    if (text === this.#sent) return undefined;
    this.#sent = text;
    return text;
  }

  /** A page begins to watch, and needs the message whether there is a change or not. */
  forget(): void {
    this.#sent = '';
  }
}

export function interruptsMessage({ lines, messages, doorbells }: InterruptState): Interrupts {
  const busiest = [...messages].sort((a, b) => b.sent + b.refused - a.sent - a.refused).slice(0, MAX_MESSAGE_ROWS);
  // In the order of the VM: rows that change places cannot be read.
  const shown = new Set(busiest);
  return {
    kind: 'interrupts',
    lines: lines.map(({ rises = null, ends = null, ...line }) => ({ ...line, rises, ends })),
    messages: messages
      .filter((message) => shown.has(message))
      .map(({ source, vector, sent, refused, isPending }) => ({ source, vector, sent, refused, isPending })),
    hiddenMessages: messages.length - busiest.length,
    doorbells,
  };
}
