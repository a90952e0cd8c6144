/**
 * The configuration space of a card as data: the fields of its header and of its capabilities.
 *
 * Called by: CardFunction. Positions of capabilities are fixed, so that a data sheet can name them.
 *
 * Sources: PCI Local Bus Specification 3.0, sections 6.1, 6.7 and 6.8; Advanced Capabilities for
 * Conventional PCI ECN (AF), for the function-level reset.
 */

import { PciRegister, type PciConfigField } from '../devices/pci/pci-config-space.js';
import { barsOf, capabilityBytes, msixHalf, OWN_CAPABILITIES, type BarLayout } from './card-description.js';
import type { PciDescription } from './pci-card.js';

/** Bits of the command register. */
export const Command = {
  PORTS: 1 << 0,
  MEMORY: 1 << 1,
  BUS_MASTER: 1 << 2,
  PARITY: 1 << 6,
  SERR: 1 << 8,
  PIN_DISABLE: 1 << 10,
} as const;

/** Bits of the status register. */
export const Status = { INTERRUPT: 1 << 3, CAPABILITIES: 1 << 4, MASTER_ABORT: 1 << 13 } as const;
/** Those that a write of 1 clears: errors. */
const CLEARABLE_STATUS = 0xf900;

const CapabilityId = { MSI: 0x05, MSIX: 0x11, AF: 0x13 } as const;
/** Every card has the AF capability. */
export const AF = 0x40;
export const AF_CONTROL = AF + 4;
export const AF_FUNCTION_LEVEL_RESET = 1 << 0;
/** Low byte: the length. High byte: "transactions pending" and "function-level reset" exist. */
const AF_HEAD = 0x03_06;

export const MSI = 0x48;
export const Msi = { CONTROL: MSI + 2, ADDRESS: MSI + 4, DATA: MSI + 12, MASK: MSI + 16, PENDING: MSI + 20 } as const;
export const MSI_END = MSI + 24;
export const MsiControl = { ENABLE: 1 << 0, ENABLED_SHIFT: 4 } as const;
const MSI_64_BIT = 1 << 7;
const MSI_MASKS = 1 << 8;
/** Enable, and in bits 6…4 how many messages the guest grants. */
const MSI_WRITABLE = 0x71;

export const MSIX = 0x60;
export const MSIX_CONTROL = MSIX + 2;
export const MsixControl = { MASKED: 1 << 14, ENABLE: 1 << 15 } as const;

const PREFETCHABLE = 1 << 3;
const TYPE_64_BIT = 1 << 2;
const TYPE_PORTS = 1;
const ALL_ONES = 0xffff_ffff;

/** `control` with MSI enabled and all messages granted that the card has: bits 3…1 to bits 6…4. */
export function msiEnabled(control: number): number {
  return control | (((control >>> 1) & 7) << MsiControl.ENABLED_SHIFT) | MsiControl.ENABLE;
}

/** `interrupt`: the VM's interrupt that the pin is routed to, for the interrupt line register. */
export function configFields(pci: PciDescription, interrupt: number): readonly PciConfigField[] {
  const { vendor, device, subsystem = { vendor, device } } = pci;
  const bars = barsOf(pci);
  const command =
    (bars.some(({ type }) => type === 'ports') ? Command.PORTS : 0) |
    (bars.some(({ type }) => type !== 'ports') ? Command.MEMORY : 0) |
    (Command.BUS_MASTER | Command.PARITY | Command.SERR | Command.PIN_DISABLE);
  const capabilities = capabilitiesOf(pci, bars);
  return [
    { register: PciRegister.VENDOR_ID, size: 2, value: vendor },
    { register: PciRegister.DEVICE_ID, size: 2, value: device },
    { register: PciRegister.COMMAND, size: 2, value: 0, writable: command },
    { register: PciRegister.STATUS, size: 2, value: Status.CAPABILITIES, clearable: CLEARABLE_STATUS },
    { register: PciRegister.REVISION_ID, size: 1, value: pci.revision ?? 0 },
    { register: PciRegister.CLASS_CODE, size: 3, value: pci.class },
    { register: PciRegister.CACHE_LINE_SIZE, size: 1, value: 0, writable: 0xff },
    { register: PciRegister.LATENCY_TIMER, size: 1, value: 0, writable: 0xf8 },
    ...bars.flatMap(barFields),
    { register: PciRegister.SUBSYSTEM_VENDOR_ID, size: 2, value: subsystem.vendor },
    { register: PciRegister.SUBSYSTEM_ID, size: 2, value: subsystem.device },
    { register: PciRegister.CAPABILITIES, size: 1, value: AF },
    ...(pci.interruptPin === undefined
      ? []
      : ([
          { register: PciRegister.INTERRUPT_LINE, size: 1, value: interrupt, writable: 0xff },
          { register: PciRegister.INTERRUPT_PIN, size: 1, value: pinNumber(pci.interruptPin) + 1 },
        ] as const)),
    ...capabilities.flatMap(({ at, id, fields }, index) => [
      { register: at, size: 1, value: id } as const,
      { register: at + 1, size: 1, value: capabilities[index + 1]?.at ?? 0 } as const,
      ...fields,
    ]),
  ];
}

/** 0 to 3 for INTA# to INTD#. */
export function pinNumber(pin: NonNullable<PciDescription['interruptPin']>): number {
  return 'ABCD'.indexOf(pin);
}

/** The BAR's registers: the writable bits are those of `~(size - 1)`. */
function barFields({ bar, type, size, prefetchable }: BarLayout): PciConfigField[] {
  const register = PciRegister.BAR0 + 4 * bar;
  // 16 bits of an address of ports exist.
  if (type === 'ports') return [{ register, size: 4, value: TYPE_PORTS, writable: (0x1_0000 - size) & 0xffff }];
  const flags = (prefetchable === true ? PREFETCHABLE : 0) | (type === 'memory64' ? TYPE_64_BIT : 0);
  const low = size >= 2 ** 32 ? 0 : 2 ** 32 - size;
  const fields: PciConfigField[] = [{ register, size: 4, value: flags, writable: low }];
  const high = size > 2 ** 32 ? ALL_ONES - (size / 2 ** 32 - 1) : ALL_ONES;
  if (type === 'memory64') fields.push({ register: register + 4, size: 4, value: 0, writable: high });
  return fields;
}

interface Capability {
  readonly at: number;
  readonly id: number;
  readonly fields: readonly PciConfigField[];
}

/** In the order of their positions, in which each links to the next. */
function capabilitiesOf(pci: PciDescription, bars: readonly BarLayout[]): Capability[] {
  const { msi, msix, capabilities = [] } = pci;
  const all: Capability[] = [
    // A write to the control register has an effect, but no bit of it is stored.
    { at: AF, id: CapabilityId.AF, fields: [{ register: AF + 2, size: 2, value: AF_HEAD }] },
  ];
  if (msi !== undefined) {
    // Bits 3…1: log2 of the messages that the card has.
    const control = (Math.log2(msi) << 1) | MSI_64_BIT | MSI_MASKS;
    const vectors = msi === 32 ? ALL_ONES : 2 ** msi - 1;
    all.push({
      at: MSI,
      id: CapabilityId.MSI,
      fields: [
        { register: Msi.CONTROL, size: 2, value: control, writable: MSI_WRITABLE },
        { register: Msi.ADDRESS, size: 4, value: 0, writable: ALL_ONES - 3 },
        { register: Msi.ADDRESS + 4, size: 4, value: 0, writable: ALL_ONES },
        { register: Msi.DATA, size: 2, value: 0, writable: 0xffff },
        { register: Msi.MASK, size: 4, value: 0, writable: vectors },
      ],
    });
  }
  const table = bars.find(({ isMsixTable }) => isMsixTable);
  if (msix !== undefined && table !== undefined)
    all.push({
      at: MSIX,
      id: CapabilityId.MSIX,
      fields: [
        { register: MSIX_CONTROL, size: 2, value: msix - 1, writable: MsixControl.MASKED | MsixControl.ENABLE },
        // The BAR and the offset in it, first of the table, then of the pending bits.
        { register: MSIX + 4, size: 4, value: table.bar },
        { register: MSIX + 8, size: 4, value: msixHalf(msix) | table.bar },
      ],
    });
  let at = OWN_CAPABILITIES;
  for (const { id, bytes } of capabilities) {
    const start = at + 2;
    all.push({ at, id, fields: Array.from(bytes, (value, index) => ({ register: start + index, size: 1, value })) });
    at += capabilityBytes(bytes.length);
  }
  return all;
}
