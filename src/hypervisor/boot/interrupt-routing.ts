/**
 * How interrupts reach the processor of a User VM, for the tables that describe it: the MADT
 * (acpi-tables.ts) and the MP table (mp-table.ts) say the same.
 *
 * - ISA interrupts arrive at the IO-APIC's pins of their own numbers, the timer's too.
 * - The system control interrupt (9) and those of PCI devices are active high levels: the lines of
 *   the device models are so. PCI devices use 10 and 11 (guests/acpi/dsdt.asl).
 *
 * Called by: those two files, and vm/vm-cards.ts for the lines of cards.
 */

/**
 * Processor 0, which starts, and the others, which wait for INIT and SIPI. The identifier of each
 * one's local APIC is the number of its vCPU.
 */
export const LOCAL_APIC = { address: 0xfee0_0000, bootstrapId: 0, version: 0x14 } as const;
/** Its pins are the global interrupts from 0 on. */
export const IO_APIC = { address: 0xfec0_0000, version: 0x11, firstInterrupt: 0 } as const;

/** The identifier of the I/O APIC: the first that no local APIC has. */
export function ioApicId(processors: number): number {
  return processors;
}

/** The system control interrupt. */
export const SCI = 9;
/** MPS INTI flags, of both tables: active high 1, level 3 << 2. */
export const LEVEL_ACTIVE_HIGH = 1 | (3 << 2);

/**
 * Without 2, the pin of the first 8259 to which the second one is connected, and without 10 and 11,
 * which are those of PCI devices.
 */
export const ISA_INTERRUPTS: readonly number[] = [0, 1, 3, 4, 5, 6, 7, 8, SCI, 12, 13, 14, 15];

/** The interrupt of pin 0…3 (INTA#…INTD#) of the function in a PCI slot. */
export function pciInterrupt(slot: number, pin: number): number {
  return (slot + pin) % 2 === 0 ? 10 : 11;
}
