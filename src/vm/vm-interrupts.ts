/**
 * VmInterrupts: the interrupts of one User VM for its operator: the lines with their owners, the
 * messages, and the doorbells of cards, each with what was counted so far.
 *
 * Called by: VmDevices, which creates it and reports the messages of cards; UserVm, which sends
 * those of ACRN userspace, reports pauses and starts, and gives readers to the debugger;
 * VmInspection.
 * Threads: the Service VM's.
 *
 * An owner is a device that has an output to a line, and a holder one that holds the line high. The
 * hypervisor knows neither, but drivers: SET_IRQLINE, all devices of the Service VM's thread
 * together, and each thread of a device (hypervisor/interrupt-lines.ts). LineOwners has the names
 * for both.
 *
 * At the end of a VM its lines fall and its cards go. So the state of its last pause is kept until
 * the next start, and is what a table after the end shows.
 */

import type { MessageCounts } from '../device-model/pci/card-interrupts.js';
import { InterruptKind } from '../trace/interrupt-lane.js';
import { InterruptReader } from '../trace/interrupt-reader.js';
import type { LineOwner, LineOwners } from '../device-model/line-owners.js';
import type { Hypercalls } from '../hypervisor/hypercalls.js';
import { INTERRUPT_LINES } from '../hypervisor/interrupt-lines.js';

/** Rows of messages that do not come from cards. More share one. */
export const MAX_MESSAGE_ROWS = 256;
const OTHERS = 'others';

/** A line that has an owner, was counted, or is high. */
export interface LineState {
  readonly line: number;
  /** Names of the devices with an output to it. */
  readonly owners: readonly string[];
  /** Names of those of them, and of other programs, that hold it high now. */
  readonly holders: readonly string[];
  readonly isHigh: boolean;
  /** How often it rose. Undefined: not counted, because the VM has no statistics. */
  readonly rises: number | undefined;
  /**
   * How often the guest ended its interrupt (EOI). Undefined: not counted, or the hypervisor's
   * controllers do not say it.
   */
  readonly ends: number | undefined;
}

/** Messages of one source and vector. */
export interface MessageState extends MessageCounts {
  /** A card with its address (`test-card 00:05.0`), or `irqfd`, or `INJECT_MSI`. */
  readonly source: string;
}

export interface DoorbellState {
  /** As `MessageState.source`. */
  readonly card: string;
  /** Writes that the hypervisor completed itself. */
  readonly writes: number;
}

export interface InterruptState {
  readonly lines: readonly LineState[];
  /** Of cards, `vector` is the number of the message within the card, of others that of the CPU. */
  readonly messages: readonly MessageState[];
  readonly doorbells: readonly DoorbellState[];
}

/** A card of the VM, or one that it had. */
export interface CountedCard {
  readonly name: string;
  readonly messages: readonly MessageCounts[];
  readonly doorbellWrites: number;
}

export interface VmInterruptsParts {
  readonly hypercalls: Pick<Hypercalls, 'shared' | 'injectMsi'>;
  readonly owners: LineOwners;
  readonly cards: () => readonly CountedCard[];
}

export class VmInterrupts {
  readonly #parts: VmInterruptsParts;
  /** Messages that do not come from cards. */
  readonly #others = new Map<string, { source: string; vector: number; sent: number; refused: number }>();
  #kept: InterruptState | undefined;

  constructor(parts: VmInterruptsParts) {
    this.#parts = parts;
  }

  /** Sends a message that does not come from a card. Returns the result of the hypercall. */
  inject(source: string, address: number, data: number): number {
    const result = this.#parts.hypercalls.injectMsi(address, data);
    // Bits 7…0 of a message's data are the vector.
    const row = this.#rowOf(source, data & 0xff);
    if (result < 0) row.refused++;
    else row.sent++;
    this.#record(source, data, -1, result >= 0);
    return result;
  }

  /** Message number `message` of a card was sent, or refused. */
  recordMessage(card: LineOwner, data: number, message: number, isSent: boolean): void {
    this.#record(card, data, message, isSent);
  }

  /** Reads what happens from now on. `startMs`: Unix time of its time 0. Close it. */
  read(startMs: number): InterruptReader {
    const { hypercalls, owners } = this.#parts;
    const nameOf = (owner: number, driver: number): string | undefined => owners.changer(owner, driver);
    return new InterruptReader({ lane: hypercalls.shared.lines.trace, nameOf, startMs });
  }

  /** The VM pauses: `state` is the present one until the next start. */
  keep(): void {
    this.#kept ??= this.#now();
  }

  /** The VM starts. */
  release(): void {
    this.#kept = undefined;
  }

  get state(): InterruptState {
    return this.#kept ?? this.#now();
  }

  #record(source: LineOwner, data: number, message: number, isSent: boolean): void {
    const { hypercalls, owners } = this.#parts;
    const { trace } = hypercalls.shared.lines;
    if (!trace.isOn) return;
    const kind = isSent ? InterruptKind.SENT : InterruptKind.REFUSED;
    trace.record(kind, message, owners.numberOf(source), data & 0xff);
  }

  #now(): InterruptState {
    const cards = this.#parts.cards();
    return {
      lines: this.#lines(),
      messages: [
        ...cards.flatMap(({ name, messages }) => messages.map((message) => ({ source: name, ...message }))),
        ...[...this.#others.values()].map((row) => ({ ...row, isPending: false })),
      ],
      doorbells: cards
        .filter(({ doorbellWrites }) => doorbellWrites > 0)
        .map(({ name, doorbellWrites }) => ({ card: name, writes: doorbellWrites })),
    };
  }

  #lines(): LineState[] {
    const { lines } = this.#parts.hypercalls.shared;
    const { owners } = this.#parts;
    const { isCounting } = lines;
    const all = Array.from({ length: INTERRUPT_LINES }, (_, line) => ({
      line,
      owners: owners.of(line),
      holders: owners.holders(line, lines.drivers(line)),
      isHigh: lines.level(line),
      rises: isCounting ? lines.rises(line) : undefined,
      ends: isCounting ? lines.ends(line) : undefined,
    }));
    return all.filter(({ owners, isHigh, rises = 0 }) => owners.length > 0 || isHigh || rises > 0);
  }

  #rowOf(source: string, vector: number): { sent: number; refused: number } {
    const isKnown = this.#others.has(`${source} ${vector}`);
    const [name, number] = isKnown || this.#others.size < MAX_MESSAGE_ROWS ? [source, vector] : [OTHERS, 0];
    const key = `${name} ${number}`;
    const row = this.#others.get(key) ?? { source: name, vector: number, sent: 0, refused: 0 };
    this.#others.set(key, row);
    return row;
  }
}
