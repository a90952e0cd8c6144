/**
 * LocalApic: the local APIC of the one vCPU, in xAPIC mode, with APIC ID 0.
 *
 * Called by: InterruptControllers.
 * Threads: the vCPU's.
 *
 * Three states (Intel SDM volume 3, "Enabling or Disabling the Local APIC"): disabled by the MSR
 * IA32_APIC_BASE, when it does not exist for the guest; disabled by software in its spurious-vector
 * register, when it accepts nothing that has a vector, which is the state at power-on; enabled.
 *
 * Source: Intel SDM volume 3, chapter "Advanced Programmable Interrupt Controller".
 */

import { SavedState } from '../../io-request/saved-state.js';
import { Delivery, deliveryOf, hasVector, MessageBit } from './apic-message.js';
import { isLogicalTarget, isPhysicalTarget } from './apic-destination.js';
import {
  SOFTWARE_ENABLED,
  SPURIOUS_WRITABLE,
  SPURIOUS_AT_RESET,
  COMMAND_WRITABLE,
  SHORTHAND_SHIFT,
  Shorthand,
  ErrorBit,
  isReadOnly,
  Lvt,
  LvtBit,
  lvtIndex,
  Register,
  VERSION,
} from './local-apic-registers.js';
import type { LocalApicOutputs } from './local-apic-outputs.js';
import { LocalApicTimer } from './local-apic-timer.js';
import { LocalVectorTable } from './local-vector-table.js';
import { NONE, VectorRegisters } from './vector-registers.js';

/** Vectors below are the processor's own. */
const FIRST_VECTOR = 16;

export class LocalApic {
  readonly #outputs: LocalApicOutputs;
  readonly #timer: LocalApicTimer;
  /** False while IA32_APIC_BASE disables the APIC: its registers do not answer then. */
  readonly existsForGuest: boolean;
  readonly #vectors = new VectorRegisters();
  readonly #table = new LocalVectorTable((message) => this.#accept(message));
  #taskPriority = 0;
  #logicalDestination = 0;
  #destinationFormat = -1;
  #spurious = SPURIOUS_AT_RESET;
  // The interrupt command register.
  #commandLow = 0;
  #commandHigh = 0;
  /** Errors since the last write of the error status register, and those that it made readable. */
  #errors = 0;
  #errorStatus = 0;

  /** `now`: the guest's time in ms. */
  constructor(outputs: LocalApicOutputs, now: () => number, existsForGuest = true) {
    this.existsForGuest = existsForGuest;
    this.#outputs = outputs;
    this.#timer = new LocalApicTimer(now);
  }

  get isEnabled(): boolean {
    return this.existsForGuest && (this.#spurious & SOFTWARE_ENABLED) !== 0;
  }

  /** A message from an I/O APIC, a device, or this APIC. Returns whether it accepted a vector. */
  receive(message: number, destination: number): boolean {
    if (!this.existsForGuest) return false;
    const isAddressed =
      (message & MessageBit.IS_LOGICAL) !== 0
        ? isLogicalTarget(destination, this.#logicalDestination, this.#destinationFormat)
        : isPhysicalTarget(destination);
    return isAddressed && this.#accept(message);
  }

  /** The vector that the CPU would get now, or −1. */
  get pending(): number {
    return this.isEnabled ? this.#vectors.pending(this.#taskPriority) : NONE;
  }

  /** The CPU takes `pending`. Returns it. */
  acknowledge(): number {
    const vector = this.pending;
    if (vector !== NONE) this.#vectors.take(vector);
    return vector;
  }

  /**
   * Whether the 8259s' output at LINT0 interrupts the CPU directly. While the APIC is disabled it
   * does: by IA32_APIC_BASE as on hardware, by software as in ACRN, where no firmware sets LINT0 up
   * before the guest runs.
   */
  get passesLint0(): boolean {
    return !this.isEnabled || this.#table.passesExtInt;
  }

  /** Drives LINT0. Matters to entries of other kinds than ExtINT. */
  setLint0(high: boolean): void {
    this.#table.setLint0(high);
  }

  /** Lets a due timer expire. Returns ms until the next expiry: Infinity if stopped or masked. */
  expire(nowMs: number): number {
    if (this.#timer.expire(nowMs, this.#isPeriodic)) this.#table.fire(Lvt.TIMER);
    return (this.#table.entry(Lvt.TIMER) & LvtBit.MASKED) === 0 ? this.#timer.remainingMs(nowMs) : Infinity;
  }

  /** A 32-bit load at byte `offset` of the APIC's page. */
  read(offset: number): number {
    this.#settleTimer();
    const entry = lvtIndex(offset);
    if (entry !== undefined) return this.#table.entry(entry);
    const word = (offset >> 4) & 7;
    switch (offset) {
      case Register.ID:
      case Register.ARBITRATION_PRIORITY:
      case Register.END_OF_INTERRUPT:
      case Register.REMOTE_READ:
        return 0;
      case Register.VERSION:
        return VERSION;
      case Register.TASK_PRIORITY:
        return this.#taskPriority;
      case Register.PROCESSOR_PRIORITY:
        return this.#vectors.processorPriority(this.#taskPriority);
      case Register.LOGICAL_DESTINATION:
        return this.#logicalDestination >>> 0;
      case Register.DESTINATION_FORMAT:
        return this.#destinationFormat >>> 0;
      case Register.SPURIOUS_VECTOR:
        return this.#spurious;
      case Register.IN_SERVICE + 16 * word:
        return this.#vectors.inService.word(word);
      case Register.TRIGGER_MODE + 16 * word:
        return this.#vectors.level.word(word);
      case Register.REQUEST + 16 * word:
        return this.#vectors.requested.word(word);
      case Register.ERROR_STATUS:
        return this.#errorStatus;
      case Register.COMMAND_LOW:
        return this.#commandLow;
      case Register.COMMAND_HIGH:
        return this.#commandHigh >>> 0;
      case Register.INITIAL_COUNT:
        return this.#timer.initialCount;
      case Register.CURRENT_COUNT:
        return this.#timer.currentCount(this.#isPeriodic);
      case Register.DIVIDE:
        return this.#timer.divide;
      default:
        this.#error(ErrorBit.ILLEGAL_REGISTER);
        return 0;
    }
  }

  write(offset: number, value: number): void {
    this.#settleTimer();
    const entry = lvtIndex(offset);
    if (entry !== undefined) {
      this.#table.write(entry, value, this.isEnabled);
      return;
    }
    switch (offset) {
      case Register.TASK_PRIORITY:
        this.#taskPriority = value & 0xff;
        return;
      case Register.END_OF_INTERRUPT:
        this.#end();
        return;
      case Register.LOGICAL_DESTINATION:
        this.#logicalDestination = value & 0xff00_0000;
        if (this.isEnabled) this.#outputs.acceptsMore();
        return;
      case Register.DESTINATION_FORMAT:
        this.#destinationFormat = value | 0x0fff_ffff;
        if (this.isEnabled) this.#outputs.acceptsMore();
        return;
      case Register.SPURIOUS_VECTOR:
        this.#writeSpurious(value);
        return;
      case Register.ERROR_STATUS:
        this.#errorStatus = this.#errors;
        this.#errors = 0;
        return;
      case Register.COMMAND_LOW:
        this.#commandLow = value & COMMAND_WRITABLE;
        this.#sendCommand(value);
        return;
      case Register.COMMAND_HIGH:
        this.#commandHigh = value & 0xff00_0000;
        return;
      case Register.INITIAL_COUNT:
        this.#timer.start(value);
        return;
      case Register.DIVIDE:
        this.#timer.divide = value;
        return;
      default:
        if (!isReadOnly(offset)) this.#error(ErrorBit.ILLEGAL_REGISTER);
    }
  }

  save(): unknown {
    return {
      ...{ timer: this.#timer.save(), vectors: this.#vectors.save(), table: this.#table.save() },
      taskPriority: this.#taskPriority,
      logicalDestination: this.#logicalDestination,
      destinationFormat: this.#destinationFormat,
      spurious: this.#spurious,
      ...{ commandLow: this.#commandLow, commandHigh: this.#commandHigh },
      errors: this.#errors,
      errorStatus: this.#errorStatus,
    };
  }

  restore(state: unknown): void {
    const from = new SavedState('local APIC', state);
    this.#timer.restore(from.value('timer'));
    this.#vectors.restore(from.value('vectors'));
    this.#table.restore(from.value('table'));
    this.#taskPriority = from.byte('taskPriority');
    this.#logicalDestination = from.word('logicalDestination') & 0xff00_0000;
    this.#destinationFormat = from.word('destinationFormat') | 0x0fff_ffff;
    this.#spurious = from.word('spurious') & SPURIOUS_WRITABLE;
    this.#commandLow = from.word('commandLow') & COMMAND_WRITABLE;
    this.#commandHigh = from.word('commandHigh') & 0xff00_0000;
    this.#errors = from.byte('errors');
    this.#errorStatus = from.byte('errorStatus');
  }

  /** Returns whether a vector is in the request register now. */
  #accept(message: number): boolean {
    if (deliveryOf(message) === Delivery.NMI) this.#outputs.nmi();
    if (!hasVector(message)) return false;
    const vector = message & MessageBit.VECTOR;
    if (vector < FIRST_VECTOR) {
      this.#error(ErrorBit.RECEIVE_ILLEGAL_VECTOR);
      return false;
    }
    if (!this.isEnabled) return false;
    this.#vectors.request(vector, (message & MessageBit.LEVEL) !== 0);
    return true;
  }

  /**
   * A timer that is due expires with the registers as they were, before an access shows or changes
   * what it does.
   */
  #settleTimer(): void {
    if (this.#timer.settle(this.#isPeriodic)) this.#table.fire(Lvt.TIMER);
  }

  get #isPeriodic(): boolean {
    return (this.#table.entry(Lvt.TIMER) & LvtBit.PERIODIC) !== 0;
  }

  #end(): void {
    const vector = this.#vectors.end();
    if (vector === NONE) return;
    this.#outputs.ended?.(vector);
    if (!this.#vectors.level.has(vector)) return;
    this.#table.endOfInterrupt(vector);
    this.#outputs.endOfInterrupt(vector);
  }

  /** Disabling by software masks the local vector table. */
  #writeSpurious(value: number): void {
    const wasEnabled = this.isEnabled;
    this.#spurious = value & SPURIOUS_WRITABLE;
    if (!this.isEnabled) this.#table.maskAll();
    else if (!wasEnabled) this.#outputs.acceptsMore();
  }

  /** There is no other CPU, so INIT and STARTUP have no one to go to. */
  #sendCommand(command: number): void {
    const vector = command & MessageBit.VECTOR;
    if (hasVector(command) && vector < FIRST_VECTOR) {
      this.#error(ErrorBit.SEND_ILLEGAL_VECTOR);
      return;
    }
    // Only an INIT can be a level. Other commands are edges whatever the bit says.
    const message = command & ~MessageBit.LEVEL;
    const shorthand = (command >>> SHORTHAND_SHIFT) & 3;
    if (shorthand === Shorthand.NONE) this.receive(message, this.#commandHigh >>> 24);
    else if (shorthand !== Shorthand.OTHERS) this.#accept(message);
  }

  /**
   * Notes an error for the next write of the error status register. Only the first one since the
   * last write fires the error entry.
   */
  #error(bit: number): void {
    const isArmed = this.#errors === 0;
    this.#errors |= bit;
    if (isArmed) this.#table.fire(Lvt.ERROR);
  }
}
