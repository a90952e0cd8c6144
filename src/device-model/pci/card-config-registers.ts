/**
 * The register map of a card's configuration space, for people and tools that display registers.
 *
 * Called by: CardFunction.
 */

import { PciRegister } from '../devices/pci/pci-config-space.js';
import type { RegisterDescription, RegisterMap } from '../register-map.js';
import { MSI, Msi, MSIX_CONTROL } from './card-config.js';
import type { BarLayout } from './card-description.js';
import type { PciCard } from './pci-card.js';

const HEADER: readonly RegisterDescription[] = [
  { offset: PciRegister.VENDOR_ID, size: 2, name: 'VID', access: 'r', meaning: 'vendor' },
  { offset: PciRegister.DEVICE_ID, size: 2, name: 'DID', access: 'r', meaning: 'device' },
  {
    offset: PciRegister.COMMAND,
    size: 2,
    name: 'CMD',
    access: 'rw',
    meaning: 'command',
    reset: 0,
    fields: [
      { bits: [0, 0], name: 'IO', meaning: 'answers at its ports' },
      { bits: [1, 1], name: 'MEM', meaning: 'answers at its memory addresses' },
      { bits: [2, 2], name: 'BME', meaning: 'bus master: DMA and messages', access: 'rw' },
      { bits: [6, 6], name: 'PERRE', meaning: 'report parity errors; has no effect', access: 'rw' },
      { bits: [8, 8], name: 'SERRE', meaning: 'drive SERR#; has no effect', access: 'rw' },
      { bits: [10, 10], name: 'INTD', meaning: 'the interrupt pin is disabled' },
    ],
  },
  {
    offset: PciRegister.STATUS,
    size: 2,
    name: 'STS',
    access: 'rw',
    meaning: 'status',
    fields: [
      { bits: [3, 3], name: 'INT', meaning: 'the card drives its interrupt pin' },
      { bits: [4, 4], name: 'CAP', meaning: 'there are capabilities' },
      { bits: [13, 13], name: 'RMA', meaning: 'DMA found no memory; write 1 to clear' },
    ],
  },
];

export function cardConfigRegisters({ name, pci }: PciCard, bars: readonly BarLayout[]): RegisterMap {
  return {
    source: `PCI Local Bus Specification 3.0 (${name})`,
    registers: [
      ...HEADER,
      ...bars.flatMap(barRegisters),
      ...(pci.interruptPin === undefined ? [] : [LINE]),
      ...(pci.msi === undefined ? [] : MSI_REGISTERS),
      ...(pci.msix === undefined ? [] : [MSIX_REGISTER]),
    ],
  };
}

const LINE: RegisterDescription = {
  offset: PciRegister.INTERRUPT_LINE,
  size: 1,
  name: 'LINE',
  access: 'rw',
  meaning: 'the interrupt of the pin, from firmware for drivers',
};

const MSI_REGISTERS: readonly RegisterDescription[] = [
  {
    offset: Msi.CONTROL,
    size: 2,
    name: 'MSI',
    access: 'rw',
    meaning: `message control (capability at 0x${MSI.toString(16)})`,
    fields: [
      { bits: [0, 0], name: 'EN', meaning: 'messages replace the pin' },
      { bits: [1, 3], name: 'MMC', meaning: 'vectors of the card, as a power of two' },
      { bits: [4, 6], name: 'MME', meaning: 'vectors granted, as a power of two' },
    ],
  },
  { offset: Msi.ADDRESS, size: 4, name: 'MSI ADDR', access: 'rw', meaning: 'address of the message' },
  { offset: Msi.DATA, size: 2, name: 'MSI DATA', access: 'rw', meaning: 'data of message 0' },
  { offset: Msi.MASK, size: 4, name: 'MSI MASK', access: 'rw', meaning: 'masked vectors' },
  { offset: Msi.PENDING, size: 4, name: 'MSI PEND', access: 'r', meaning: 'pending vectors' },
];

const MSIX_REGISTER: RegisterDescription = {
  offset: MSIX_CONTROL,
  size: 2,
  name: 'MSI-X',
  access: 'rw',
  meaning: 'message control',
  fields: [
    { bits: [0, 10], name: 'SIZE', meaning: 'vectors, less one' },
    { bits: [14, 14], name: 'MASK', meaning: 'all vectors are masked' },
    { bits: [15, 15], name: 'EN', meaning: 'messages replace the pin' },
  ],
};

function barRegisters({ bar, type, size, isMsixTable }: BarLayout): RegisterDescription[] {
  const what = isMsixTable ? 'the MSI-X table' : `${size} ${type === 'ports' ? 'ports' : 'bytes'}`;
  const register = (number: number, meaning: string): RegisterDescription => ({
    offset: PciRegister.BAR0 + 4 * number,
    size: 4,
    name: `BAR${number}`,
    access: 'rw',
    meaning,
  });
  const low = register(bar, `address of ${what}`);
  return type === 'memory64' ? [low, register(bar + 1, 'the upper half of that address')] : [low];
}
