/**
 * LocalApicOutputs: what a local APIC reports to the controllers around it.
 *
 * Called by: LocalApic. Implemented by: InterruptControllers.
 */

export interface LocalApicOutputs {
  /** The guest has ended the interrupt `vector`, an edge or a level. Default: not counted. */
  ended?(vector: number): void;
  /** The guest has ended the level-triggered interrupt `vector`: the message to all I/O APICs. */
  endOfInterrupt(vector: number): void;
  nmi(): void;
  /** The APIC may now accept interrupts that it did not accept before. */
  acceptsMore(): void;
}
