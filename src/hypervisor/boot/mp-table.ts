/**
 * The MP table of a User VM: the processors, the buses, the IO-APIC and the interrupts, for systems
 * that do not read ACPI tables. It says the same as the MADT and the DSDT.
 *
 * Source: Intel MultiProcessor Specification 1.4, chapter 4, which also gives the offsets below.
 *
 * Called by: guest-image.ts.
 */

import { FirmwareTable, little } from './firmware-table.js';
import {
  IO_APIC,
  ioApicId,
  ISA_INTERRUPTS,
  LEVEL_ACTIVE_HIGH,
  LOCAL_APIC,
  pciInterrupt,
  SCI,
} from './interrupt-routing.js';
import type { Piece } from './load-plan.js';
import { MP_TABLE } from './low-memory.js';

/** Of the specification, as both structures carry it. */
const REVISION_1_4 = 4;
/** The floating pointer structure, which systems search for in 16-byte steps. */
const POINTER_BYTES = 16;
const HEADER_BYTES = 44;

/** Types of entries. A processor's has 20 bytes, the others have 8. */
const Entry = { PROCESSOR: 0, BUS: 1, IO_APIC: 2, INTERRUPT: 3, LOCAL_INTERRUPT: 4 } as const;
const InterruptType = { VECTORED: 0, NMI: 1, EXTERNAL: 3 } as const;
const ENABLED = 1 << 0;
const BOOTSTRAP_PROCESSOR = 1 << 1;
/**
 * Family, model and stepping of the embedded core. With another hypervisor this is wrong: a system
 * that has CPUID goes by that.
 */
const CPU_SIGNATURE = 0x673;
/** Feature flags of CPUID: an FPU, a local APIC. */
const CPU_FEATURES = (1 << 0) | (1 << 9);
/** Bus identifiers. That of a PCI bus must be its PCI bus number. */
const PCI_BUS = 0;
const ISA_BUS = 1;
const PCI_SLOTS = 32;
/** Flags: as the bus defines it, for ISA an active high edge. */
const CONFORMS = 0;
const ALL_LOCAL_APICS = 0xff;

/** Pointer and table in one piece, for 1…16 processors. */
export function mpTable(processors = 1): Piece {
  const ioApic = ioApicId(processors);
  const entries: number[][] = [
    ...Array.from({ length: processors }, (_, id) => processor(id)),
    bus(PCI_BUS, 'PCI   '),
    bus(ISA_BUS, 'ISA   '),
    [Entry.IO_APIC, ioApic, IO_APIC.version, ENABLED, ...little(IO_APIC.address, 4)],
    ...ISA_INTERRUPTS.map((irq) =>
      interrupt(irq === SCI ? LEVEL_ACTIVE_HIGH : CONFORMS, [ISA_BUS, irq], [ioApic, irq]),
    ),
    ...pciEntries(ioApic),
    // The 8259s arrive at LINT0 of the bootstrap processor, NMI at LINT1 of all.
    local(InterruptType.EXTERNAL, LOCAL_APIC.bootstrapId, 0),
    local(InterruptType.NMI, ALL_LOCAL_APICS, 1),
  ];
  const body = entries.flat();
  const table = new FirmwareTable(HEADER_BYTES + body.length);
  table.text(0, 'PCMP').u16(4, table.bytes.length).u8(6, REVISION_1_4);
  table.text(8, 'UPCALL  ').text(16, 'UPCALLVM    ');
  table.u16(34, entries.length).u32(36, LOCAL_APIC.address);
  table.bytes.set(body, HEADER_BYTES);
  table.checksum(7);

  const bytes = new Uint8Array(POINTER_BYTES + table.bytes.length);
  bytes.set(pointer(MP_TABLE + POINTER_BYTES));
  bytes.set(table.bytes, POINTER_BYTES);
  return { what: 'MP table', address: MP_TABLE, bytes };
}

/**
 * Feature byte 1 is 0: there is a table. Feature byte 2 is 0: the 8259s reach the processor through
 * its local APIC ("virtual wire mode"), and no register switches that.
 */
function pointer(table: number): Uint8Array {
  const structure = new FirmwareTable(POINTER_BYTES).text(0, '_MP_').u32(4, table);
  return structure
    .u8(8, POINTER_BYTES / 16)
    .u8(9, REVISION_1_4)
    .checksum(10).bytes;
}

function bus(id: number, name: string): number[] {
  return [Entry.BUS, id, ...new TextEncoder().encode(name)];
}

function processor(id: number): number[] {
  const flags = id === LOCAL_APIC.bootstrapId ? ENABLED | BOOTSTRAP_PROCESSOR : ENABLED;
  return [
    ...[Entry.PROCESSOR, id, LOCAL_APIC.version, flags],
    ...[...little(CPU_SIGNATURE, 4), ...little(CPU_FEATURES, 4), ...little(0, 8)],
  ];
}

/** An interrupt `from` a bus, by its own number, arrives `at` an I/O APIC, at that pin. */
function interrupt(
  flags: number,
  from: readonly [bus: number, source: number],
  at: readonly [ioApic: number, pin: number],
): number[] {
  return [Entry.INTERRUPT, InterruptType.VECTORED, ...little(flags, 2), ...from, ...at];
}

/**
 * All slots, occupied or not, as the DSDT has them. A source is the slot, with the pin in bits 0
 * and 1.
 */
function pciEntries(ioApic: number): number[][] {
  return Array.from({ length: PCI_SLOTS * 4 }, (_, source) =>
    interrupt(LEVEL_ACTIVE_HIGH, [PCI_BUS, source], [ioApic, pciInterrupt(source >> 2, source & 3)]),
  );
}

function local(type: number, apic: number, pin: number): number[] {
  return [Entry.LOCAL_INTERRUPT, type, ...little(CONFORMS, 2), ISA_BUS, 0, apic, pin];
}
