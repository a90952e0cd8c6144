/**
 * functionView: a PCI function as an operator sees it: the header of its configuration space, its
 * BARs, its capabilities and its MSI-X vectors, decoded. All of it is peeked, without any effect.
 *
 * Called by: VmInspection, for the device panel. Threads: the Service VM's.
 *
 * The bytes may be any: the author of a PciFunction may have made a list of capabilities with a
 * loop.
 *
 * Source: PCI Local Bus Specification 3.0, sections 6.1, 6.2, 6.7 and 6.8; virtio 1.2, section
 * 4.1.4.
 */

import type { AddressRange } from '../../hsm/address-range.js';
import { pciAddressName } from '../../io-request/pci-address.js';
import { PciRegister } from '../devices/pci/pci-config-space.js';
import type { AccessSize } from '../device.js';
import type { PciAddress, PciFunction } from '../pci-function.js';
import { Command } from './card-config.js';
import { BARS } from './card-description.js';
import { CardFunction } from './card-function.js';
import type { MsixEntryView } from './msix-table.js';

/** Entries of an MSI-X table that are shown. */
export const SHOWN_VECTORS = 32;
/** Capabilities of a function: more do not fit, so the list has a loop. */
const MOST_CAPABILITIES = 48;
const FIRST_CAPABILITY = 0x40;
const Id = { MSI: 0x05, VENDOR: 0x09, MSIX: 0x11, AF: 0x13 } as const;
const NAMES: Readonly<Record<number, string>> = {
  0x01: 'power management',
  [Id.MSI]: 'MSI',
  [Id.VENDOR]: 'vendor-specific',
  0x10: 'PCI Express',
  [Id.MSIX]: 'MSI-X',
  [Id.AF]: 'advanced features',
};
const VIRTIO_VENDOR = 0x1af4;
const VIRTIO_TYPES = ['', 'common', 'notify', 'ISR', 'device', 'PCI access', '', '', 'shared memory'];

const COMMAND_BITS: readonly (readonly [name: string, bit: number])[] = [
  ['ports', Command.PORTS],
  ['memory', Command.MEMORY],
  ['bus master', Command.BUS_MASTER],
  ['parity', Command.PARITY],
  ['SERR#', Command.SERR],
  ['INTx off', Command.PIN_DISABLE],
];
const STATUS_BITS: readonly (readonly [name: string, bit: number])[] = [
  ['INTx', 1 << 3],
  ['capabilities', 1 << 4],
  ['master parity error', 1 << 8],
  ['target abort sent', 1 << 11],
  ['target abort', 1 << 12],
  ['master abort', 1 << 13],
  ['SERR# sent', 1 << 14],
  ['parity error', 1 << 15],
];

export interface BitView {
  readonly name: string;
  readonly isSet: boolean;
}

export interface BarView {
  readonly bar: number;
  readonly kind: 'ports' | 'memory' | 'memory64';
  readonly isPrefetchable: boolean;
  /** As the guest has written it, without the bits of the kind. */
  readonly address: bigint;
  /** Undefined: the function does not say it. */
  readonly size: number | undefined;
  /** Whether an access there reaches the function. Undefined: the function does not say it. */
  readonly isDecoded: boolean | undefined;
}

export interface CapabilityView {
  readonly at: number;
  readonly id: number;
  readonly name: string;
  readonly fields: readonly (readonly [name: string, value: string])[];
}

export interface FunctionView {
  readonly address: string;
  readonly name: string;
  readonly vendor: number;
  readonly device: number;
  readonly subsystem: { readonly vendor: number; readonly device: number };
  /** 24 bits. */
  readonly class: number;
  readonly revision: number;
  readonly command: readonly BitView[];
  readonly status: readonly BitView[];
  readonly bars: readonly BarView[];
  readonly capabilities: readonly CapabilityView[];
  /** The entries of the MSI-X table, those beyond SHOWN_VECTORS left out. */
  readonly vectors: readonly MsixEntryView[];
}

type Peek = (register: number, size: AccessSize) => number;

/** `decoded`: the range of a BAR that the VM decodes. */
export function functionView(
  { bus, device, function: number }: PciAddress,
  fn: PciFunction,
  decoded: (bar: number) => AddressRange | undefined,
): FunctionView {
  const peek: Peek = (register, size) => (fn.peekConfig?.(register, size) ?? 0) >>> 0;
  const bits = (value: number, names: readonly (readonly [string, number])[]): BitView[] =>
    names.map(([name, bit]) => ({ name, isSet: (value & bit) !== 0 }));
  return {
    address: pciAddressName(bus, device, number),
    name: fn.name,
    vendor: peek(PciRegister.VENDOR_ID, 2),
    device: peek(PciRegister.DEVICE_ID, 2),
    subsystem: { vendor: peek(PciRegister.SUBSYSTEM_VENDOR_ID, 2), device: peek(PciRegister.SUBSYSTEM_ID, 2) },
    class: peek(PciRegister.CLASS_CODE - 1, 4) >>> 8,
    revision: peek(PciRegister.REVISION_ID, 1),
    command: bits(peek(PciRegister.COMMAND, 2), COMMAND_BITS),
    status: bits(peek(PciRegister.STATUS, 2), STATUS_BITS),
    bars: fn instanceof CardFunction ? cardBars(fn, peek, decoded) : otherBars(peek),
    capabilities: capabilitiesOf(peek),
    vectors: fn instanceof CardFunction ? fn.msixEntries(SHOWN_VECTORS) : [],
  };
}

function cardBars(fn: CardFunction, peek: Peek, decoded: (bar: number) => AddressRange | undefined): BarView[] {
  return fn.bars.map(({ layout: { bar, type, size, prefetchable } }) => ({
    bar,
    kind: type,
    isPrefetchable: prefetchable === true,
    address: addressOf(peek, bar),
    size,
    isDecoded: decoded(bar) !== undefined,
  }));
}

/** The BARs of a function that is not a card: those that are not 0. */
function otherBars(peek: Peek): BarView[] {
  const bars: BarView[] = [];
  for (let bar = 0; bar < BARS; bar++) {
    const low = peek(PciRegister.BAR0 + 4 * bar, 4);
    if (low === 0) continue;
    const kind = kindOf(low);
    const isPrefetchable = kind !== 'ports' && (low & 8) !== 0;
    bars.push({ bar, kind, isPrefetchable, address: addressOf(peek, bar), size: undefined, isDecoded: undefined });
    if (kind === 'memory64') bar++;
  }
  return bars;
}

function kindOf(low: number): BarView['kind'] {
  if ((low & 1) !== 0) return 'ports';
  return (low & 6) === 4 ? 'memory64' : 'memory';
}

function addressOf(peek: Peek, bar: number): bigint {
  const low = peek(PciRegister.BAR0 + 4 * bar, 4);
  const kind = kindOf(low);
  const high = kind === 'memory64' && bar + 1 < BARS ? peek(PciRegister.BAR0 + 4 * bar + 4, 4) : 0;
  return (BigInt(high) << 32n) | BigInt((low & (kind === 'ports' ? ~3 : ~15)) >>> 0);
}

function capabilitiesOf(peek: Peek): CapabilityView[] {
  const capabilities: CapabilityView[] = [];
  let at = (peek(PciRegister.STATUS, 2) & (1 << 4)) === 0 ? 0 : peek(PciRegister.CAPABILITIES, 1) & ~3;
  while (at >= FIRST_CAPABILITY && capabilities.length < MOST_CAPABILITIES) {
    const id = peek(at, 1);
    const isVirtio = id === Id.VENDOR && peek(PciRegister.VENDOR_ID, 2) === VIRTIO_VENDOR;
    const name = isVirtio ? 'virtio' : (NAMES[id] ?? `0x${id.toString(16)}`);
    capabilities.push({ at, id, name, fields: isVirtio ? virtioFields(peek, at) : fieldsOf(peek, at, id) });
    at = peek(at + 1, 1) & ~3;
  }
  return capabilities;
}

const hex = (value: number): string => `0x${value.toString(16)}`;
const onOff = (value: number): string => (value === 0 ? 'off' : 'on');

function virtioFields(peek: Peek, at: number): CapabilityView['fields'] {
  const type = peek(at + 3, 1);
  return [
    ['type', VIRTIO_TYPES[type] || String(type)],
    ['BAR', String(peek(at + 4, 1))],
    ['offset', hex(peek(at + 8, 4))],
    ['length', hex(peek(at + 12, 4))],
  ];
}

function fieldsOf(peek: Peek, at: number, id: number): CapabilityView['fields'] {
  const control = peek(at + 2, 2);
  if (id === Id.MSIX)
    return [
      ['state', onOff(control & 0x8000)],
      ['all masked', (control & 0x4000) === 0 ? 'no' : 'yes'],
      ['vectors', String((control & 0x7ff) + 1)],
      ['table', `BAR ${peek(at + 4, 4) & 7} + ${hex((peek(at + 4, 4) & ~7) >>> 0)}`],
      ['pending bits', `BAR ${peek(at + 8, 4) & 7} + ${hex((peek(at + 8, 4) & ~7) >>> 0)}`],
    ];
  if (id !== Id.MSI) return [];
  const is64 = (control & 0x80) !== 0;
  const high = is64 ? peek(at + 8, 4) : 0;
  const masks: CapabilityView['fields'] =
    (control & 0x100) === 0
      ? []
      : [
          ['masked', hex(peek(at + (is64 ? 16 : 12), 4))],
          ['pending', hex(peek(at + (is64 ? 20 : 16), 4))],
        ];
  return [
    ['state', onOff(control & 1)],
    ['vectors', `${1 << ((control >> 4) & 7)} of ${1 << ((control >> 1) & 7)}`],
    ['address', `0x${((BigInt(high) << 32n) | BigInt(peek(at + 4, 4))).toString(16)}`],
    ['data', hex(peek(at + (is64 ? 12 : 8), 2))],
    ...masks,
  ];
}
