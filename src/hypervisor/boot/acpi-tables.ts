/**
 * The ACPI tables of a User VM. The DSDT is compiled from guests/acpi/dsdt.asl and comes in as
 * bytes. The others describe the power management registers, the local APIC, the IO-APIC and where
 * PCI configuration space is, and the DSDT describes the devices.
 *
 * Source: ACPI Specification 6.5, chapter 5.2. The offsets in the functions below are those of its
 * tables.
 *
 * All tables lie in one block at 0xE0000, where systems without EFI search for the root pointer.
 *
 * Called by: guest-image.ts.
 */

import { UpcallError } from '../../io-request/upcall-error.js';
import { FirmwareTable, little } from './firmware-table.js';
import { IO_APIC, ioApicId, LEVEL_ACTIVE_HIGH, LOCAL_APIC, SCI } from './interrupt-routing.js';
import type { Piece } from './load-plan.js';
import { ACPI_TABLES, ACPI_TABLES_ROOM } from './low-memory.js';

const HEADER_BYTES = 36;
/** Offset in each table's header. */
const CHECKSUM = 9;
const RSDP_BYTES = 36;
const FACS_BYTES = 64;
/** Of ACPI 3.0 and 4.0: everything that a machine with I/O ports needs. */
const FADT_BYTES = 244;
// Revisions of these tables in ACPI 4.0.
const FADT_REVISION = 4;
const MADT_REVISION = 3;
/** PCI Firmware Specification 3.0, section 4.1.2. */
const MCFG_BYTES = 60;
/** PCI configuration space as memory, as `device-model/devices/pci/pci-ecam.ts` has it: bus 0. */
const PCI_ECAM = 0xe000_0000;

/** The ports of the power management registers, as `device-model/devices/acpi-pm.ts` has them. */
const PM1A_EVENT = 0x400;
const PM1A_CONTROL = 0x404;
const PM_TIMER = 0x408;
const RESET_PORT = 0xcf9;
/** Port 0xcf9: a hard reset (bit 1), now (bit 2). */
const RESET_VALUE = 6;
/** The port by which a guest asks for ACPI mode, with ACRN's values (`acpi-smi-command.ts`). */
const SMI_COMMAND = 0xb2;
const ACPI_ENABLE = 0xa0;
const ACPI_DISABLE = 0xa1;
const RTC_CENTURY = 0x32;

const FadtFlag = {
  wbinvd: 1 << 0,
  c1: 1 << 2,
  noSleepButton: 1 << 5,
  noFixedRtc: 1 << 6,
  timer32: 1 << 8,
  resetRegister: 1 << 10,
} as const;
const BootArchitecture = { legacyDevices: 1 << 0, keyboardController: 1 << 1, noVga: 1 << 2 } as const;
const MadtEntry = { LOCAL_APIC: 0, IO_APIC: 1, OVERRIDE: 2 } as const;
const PCAT_COMPATIBLE = 1;
const ADDRESS_SPACE_IO = 1;

/** A table with its header. The caller sets the checksum (offset 9) last, over the whole table. */
function acpiTable(length: number, signature: string, revision: number): FirmwareTable {
  const table = new FirmwareTable(length).text(0, signature).u32(4, length).u8(8, revision);
  return table.text(10, 'UPCALL').text(16, 'UPCALLVM').u32(24, 1).text(28, 'UPCL').u32(32, 1);
}

/**
 * The tables with `dsdt` in them, ready to be loaded, for 1…16 processors. Throws IMAGE_MALFORMED
 * if `dsdt` has no DSDT signature or a wrong checksum, and IMAGE_TOO_LARGE if the tables do not fit
 * into ACPI_TABLES_ROOM.
 */
export function acpiTables(dsdt: Uint8Array, processors = 1): Piece {
  checkDsdt(dsdt);
  const bytes = new Uint8Array(ACPI_TABLES_ROOM);
  let end = 0;
  /** Puts a table after the last one; the FACS must be 64-byte aligned, so all are. */
  const place = (table: Uint8Array): number => {
    const at = end;
    if (at + table.length > ACPI_TABLES_ROOM)
      throw new UpcallError('IMAGE_TOO_LARGE', `DSDT of ${dsdt.length} bytes does not fit below 1 MiB`, {
        remedy: `All tables together have ${ACPI_TABLES_ROOM} bytes`,
      });
    bytes.set(table, at);
    end = Math.ceil((at + table.length) / 64) * 64;
    return ACPI_TABLES + at;
  };

  place(new Uint8Array(RSDP_BYTES));
  const fadtAddress = place(fadt(place(facs()), place(dsdt)));
  const madtAddress = place(madt(processors));
  const tables = [fadtAddress, madtAddress, place(mcfg())];
  const rsdt = place(rootTable('RSDT', 4, tables));
  const xsdt = place(rootTable('XSDT', 8, tables));
  bytes.set(rsdp(rsdt, xsdt), 0);
  return { what: 'ACPI tables', address: ACPI_TABLES, bytes: bytes.subarray(0, end) };
}

function checkDsdt(dsdt: Uint8Array): void {
  const signature = String.fromCharCode(...dsdt.subarray(0, 4));
  const sum = dsdt.reduce((total, byte) => total + byte, 0) & 0xff;
  if (dsdt.length < HEADER_BYTES || signature !== 'DSDT' || sum !== 0)
    throw new UpcallError('IMAGE_MALFORMED', `DSDT: ${dsdt.length} bytes without its signature or checksum`, {
      remedy: 'Compile guests/acpi/dsdt.asl again: iasl -p guests/acpi/dsdt guests/acpi/dsdt.asl',
    });
}

function rsdp(rsdt: number, xsdt: number): Uint8Array {
  const table = new FirmwareTable(RSDP_BYTES).text(0, 'RSD PTR ').text(9, 'UPCALL').u8(15, 2);
  table.u32(16, rsdt).u32(20, RSDP_BYTES).u32(24, xsdt);
  // The first 20 bytes, which ACPI 1.0 has, have a checksum of their own.
  return table.checksum(8, 20).checksum(32).bytes;
}

function rootTable(signature: string, entryBytes: number, addresses: readonly number[]): Uint8Array {
  const table = acpiTable(HEADER_BYTES + entryBytes * addresses.length, signature, 1);
  addresses.forEach((address, index) => table.u32(HEADER_BYTES + entryBytes * index, address));
  return table.checksum(CHECKSUM).bytes;
}

function facs(): Uint8Array {
  return new FirmwareTable(FACS_BYTES).text(0, 'FACS').u32(4, FACS_BYTES).u8(32, 2).bytes;
}

function fadt(facsAddress: number, dsdtAddress: number): Uint8Array {
  const table = acpiTable(FADT_BYTES, 'FACP', FADT_REVISION);
  table.u32(36, facsAddress).u32(40, dsdtAddress).u16(46, SCI);
  table.u32(48, SMI_COMMAND).u8(52, ACPI_ENABLE).u8(53, ACPI_DISABLE);
  table.u32(56, PM1A_EVENT).u32(64, PM1A_CONTROL).u32(76, PM_TIMER);
  // Bytes of these three register blocks.
  table.u8(88, 4).u8(89, 2).u8(91, 4);
  // Latencies above 100 and 1000 µs mean that there is neither C2 nor C3.
  table.u16(96, 101).u16(98, 1001);
  table.u8(108, RTC_CENTURY);
  table.u16(109, BootArchitecture.legacyDevices | BootArchitecture.keyboardController | BootArchitecture.noVga);
  const { wbinvd, c1, noSleepButton, noFixedRtc, timer32, resetRegister } = FadtFlag;
  table.u32(112, wbinvd | c1 | noSleepButton | noFixedRtc | timer32 | resetRegister);
  ioAddress(table, 116, RESET_PORT, 1);
  table.u8(128, RESET_VALUE);
  table.u32(132, facsAddress).u32(140, dsdtAddress);
  ioAddress(table, 148, PM1A_EVENT, 4);
  ioAddress(table, 172, PM1A_CONTROL, 2);
  ioAddress(table, 208, PM_TIMER, 4);
  return table.checksum(CHECKSUM).bytes;
}

/**
 * A Generic Address Structure: address space, width and offset in bits, access size (1 byte, 2
 * word, 3 dword), address.
 */
function ioAddress(table: FirmwareTable, offset: number, port: number, bytes: 1 | 2 | 4): void {
  table.u8(offset, ADDRESS_SPACE_IO).u8(offset + 1, bytes * 8);
  table.u8(offset + 3, bytes === 4 ? 3 : bytes).u32(offset + 4, port);
}

/** All processors, and an override only for the SCI, for its mode (interrupt-routing.ts). */
function madt(processors: number): Uint8Array {
  const entries: number[][] = [
    ...Array.from({ length: processors }, (_, id) => [MadtEntry.LOCAL_APIC, 8, id, id, 1, 0, 0, 0]),
    [
      MadtEntry.IO_APIC,
      12,
      ioApicId(processors),
      0,
      ...little(IO_APIC.address, 4),
      ...little(IO_APIC.firstInterrupt, 4),
    ],
    override(SCI, SCI, LEVEL_ACTIVE_HIGH),
  ];
  const body = entries.flat();
  const table = acpiTable(HEADER_BYTES + 8 + body.length, 'APIC', MADT_REVISION);
  table.u32(36, LOCAL_APIC.address).u32(40, PCAT_COMPATIBLE);
  table.bytes.set(body, HEADER_BYTES + 8);
  return table.checksum(CHECKSUM).bytes;
}

/** Segment 0, bus 0 to 0. */
function mcfg(): Uint8Array {
  return acpiTable(MCFG_BYTES, 'MCFG', 1).u32(44, PCI_ECAM).checksum(CHECKSUM).bytes;
}

/** ISA interrupt `source` arrives at global interrupt `global`. */
function override(source: number, global: number, flags: number): number[] {
  return [MadtEntry.OVERRIDE, 10, 0, source, ...little(global, 4), ...little(flags, 2)];
}
