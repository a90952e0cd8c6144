/**
 * CoreInterrupts: the interrupt inputs of the core's CPU, driven by the interrupt controllers.
 *
 * Called by: Core, also inside of a trapped access. Nothing here but `enterNmi` and `enterAny` runs
 * a step of the CPU.
 * Threads: the vCPU's.
 *
 * The edited core (interrupt-edits.ts) takes an interrupt by itself when EFLAGS.IF is set: it looks
 * at the byte `interruptRequested` and asks for the vector. It knows no NMI, so that one is entered
 * from here, between two instructions. NMIs are blocked from then on until an IRET (Intel SDM
 * volume 3, "Nonmaskable Interrupt").
 */

import type { HandlerTables } from '../hypervisor.js';
import { InterruptControllers, NO_VECTOR } from '../interrupt-controllers/interrupt-controllers.js';
import type { InterruptController } from '../interrupt-lines.js';
import { GeneralProtection } from '../io-handler.js';
import type { MsiDelivery } from '../msi-queue.js';
import { registerControllers } from './controller-handlers.js';
import type { CoreExports } from './core-exports.js';
import { CoreOffset, CPU_STATE_BYTES, GeneralRegister } from './core-layout.js';
import { coreBytes, coreWords } from './core-memory.js';
import { ENTER_VECTOR_EXPORT, HAS_VECTOR, HostCall } from './interrupt-edits.js';

/** Interrupt lines that devices drive. InterruptLines is one. */
export interface InterruptSource {
  /** Whether `deliver` has something to do. Read after each trap. */
  readonly relaxedChanged: boolean;
  /** Gives the controllers each change since the last call. */
  deliver(controller: InterruptController): void;
  /** The controllers were reset: the next `deliver` gives them every line that is high. */
  resync(): void;
  /** The controllers were restored, with pins of these levels. Default: all pins are low. */
  restorePins?(levels: readonly number[]): void;
  /** The guest has ended (EOI) the interrupt of a line. Default: not counted. */
  end?(line: number): void;
}

/** What the inputs need of the core around them. */
export interface CoreClock {
  /** The guest's time in ms. */
  guestMs(): number;
  /** Makes the core poll for interrupts when the instruction is over. */
  pollSoon(): void;
}

const NMI_VECTOR = 2;
/** EFLAGS.IF. */
const INTERRUPTS_ON = 0x200;
/**
 * IA32_APIC_BASE: global enable, and the bits that are reserved without x2APIC mode. Bit 8,
 * "bootstrap processor", is not reserved, but what is written to it is dropped. The upper half is
 * reserved as a whole: physical addresses have 32 bits (paging-edits.ts).
 */
const APIC_ENABLED = 1 << 11;
const APIC_BASE_RESERVED = 0b110_1111_1111;

export class CoreInterrupts {
  readonly #core: CoreExports;
  readonly #clock: CoreClock;
  readonly #controllers: InterruptControllers;
  /** The CPU's state. */
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;

  /** Registers the controllers' handlers in `handlers`. */
  constructor(core: CoreExports, handlers: HandlerTables, clock: CoreClock, lines: InterruptSource) {
    this.#core = core;
    this.#clock = clock;
    const { buffer } = core.memory;
    this.#words = coreWords(buffer, 0, CPU_STATE_BYTES >> 2);
    this.#bytes = coreBytes(buffer, 0, CPU_STATE_BYTES);
    this.#controllers = new InterruptControllers(
      () => clock.guestMs(),
      (line) => lines.end?.(line),
    );
    registerControllers(handlers, this.#controllers, () => this.#follow());
  }

  reset(): void {
    this.#controllers.reset();
  }

  save(): unknown {
    return this.#controllers.save();
  }

  /** Throws SNAPSHOT_INVALID. */
  restore(state: unknown, lines: InterruptSource): void {
    this.#controllers.restore(state);
    lines.restorePins?.(this.#controllers.ioApic.levels);
    this.#follow();
  }

  deliver(lines: InterruptSource): void {
    lines.deliver(this.#controllers);
    this.#follow();
  }

  message(kind: MsiDelivery, vector: number): void {
    this.#controllers.message(kind, vector);
    this.#follow();
  }

  /**
   * Lets timers expire that are due at `nowMs` of the guest's time. Returns the milliseconds until
   * the next one, or Infinity.
   */
  expire(nowMs: number): number {
    const untilNextMs = this.#controllers.expire(nowMs);
    this.#follow();
    return untilNextMs;
  }

  /** Whether the CPU would take an interrupt or an NMI now. */
  get canEnter(): boolean {
    if (this.#controllers.hasNmi && !this.#isNmiBlocked) return true;
    return this.#bytes[CoreOffset.interruptRequested] !== 0 && (this.#word(CoreOffset.flags) & INTERRUPTS_ON) !== 0;
  }

  /** Between two slices: enters what waits. Returns whether that was an NMI, which ends a halt. */
  enterAny(): boolean {
    const isNmi = this.enterNmi();
    if (this.#bytes[CoreOffset.interruptRequested] !== 0) this.#core.handle_irqs();
    return isNmi;
  }

  /** Between two instructions: enters an NMI that waits and is not blocked. */
  enterNmi(): boolean {
    if (!this.#controllers.hasNmi || this.#isNmiBlocked) return false;
    this.#controllers.takeNmi();
    this.#bytes[CoreOffset.nmiBlocked] = 1;
    this.#bytes[CoreOffset.isHalted] = 0;
    this.#words[CoreOffset.previousInstructionPointer >> 2] = this.#word(CoreOffset.instructionPointer);
    this.#core[ENTER_VECTOR_EXPORT](NMI_VECTOR, 0, 0, 0);
    return true;
  }

  /**
   * The answer to HostCall.ACKNOWLEDGE: the core takes an interrupt. Its vector is in bits 8 to 15,
   * and HAS_VECTOR is set unless the request has gone.
   */
  acknowledge(): number {
    const vector = this.#controllers.acknowledge();
    this.#follow();
    return vector === NO_VECTOR ? 0 : HAS_VECTOR | (vector << 8);
  }

  /** The other calls of the edited core. `value`: the low word that WRMSR writes to APIC_BASE. */
  notify(call: number, value: number): void {
    if (call === HostCall.APIC_BASE) this.#writeApicBase(value);
    else this.#unblockNmi();
  }

  get #isNmiBlocked(): boolean {
    return this.#bytes[CoreOffset.nmiBlocked] !== 0;
  }

  /** The guest executes IRET, which unblocks NMIs even if it faults. */
  #unblockNmi(): void {
    this.#bytes[CoreOffset.nmiBlocked] = 0;
    if (this.#controllers.hasNmi) this.#clock.pollSoon();
  }

  /** WRMSR to IA32_APIC_BASE. As in ACRN the APIC stays at its address, whatever is written. */
  #writeApicBase(low: number): void {
    const high = this.#word(CoreOffset.generalRegisters + 4 * GeneralRegister.EDX);
    if ((low & APIC_BASE_RESERVED) !== 0 || high !== 0) throw new GeneralProtection('reserved bits of IA32_APIC_BASE');
    const isEnabled = (low & APIC_ENABLED) !== 0;
    this.#bytes[CoreOffset.apicEnabled] = isEnabled ? 1 : 0;
    this.#controllers.setLocalApicExists(isEnabled);
    this.#follow();
  }

  /** Sets the CPU's interrupt input to what the controllers request. */
  #follow(): void {
    this.#bytes[CoreOffset.interruptRequested] = this.#controllers.isRequesting ? 1 : 0;
  }

  #word(offset: number): number {
    return this.#words[offset >> 2] as number;
  }
}
