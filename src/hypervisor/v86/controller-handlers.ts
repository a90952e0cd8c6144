/**
 * The accesses to the interrupt controllers that the core does not take. It takes only 8-bit
 * accesses to the 8259s, and of the two APICs only their first registers. The controllers belong to
 * the hypervisor all the same, so such an access makes no request: a read gives all ones, and a
 * write is dropped.
 */

import type { OwnRange } from '../hypercalls.js';
import type { HandlerTables } from '../hypervisor.js';
import type { MmioHandler } from '../mmio-handlers.js';
import type { PortHandler } from '../port-handlers.js';

/** Both 8259s, and their edge/level control registers. */
const PIC_PORTS = [0x20, 0xa0, 0x4d0];
const PORTS_EACH = 2;
export const IO_APIC_ADDRESS = 0xfec0_0000;
export const LOCAL_APIC_ADDRESS = 0xfee0_0000;
const PAGE_BYTES = 0x1000;
const ALL_ONES = 0xffff_ffff;

const UNANSWERED_PORT: PortHandler = { read: () => ALL_ONES, write: () => true };
const UNANSWERED_ADDRESS: MmioHandler = { read: () => ALL_ONES, write: () => true };

/** The ranges of the controllers, which a device cannot have. */
export const CONTROLLER_RANGES: readonly OwnRange[] = [
  ...PIC_PORTS.map((start): OwnRange => ({
    type: 'port',
    start,
    end: start + PORTS_EACH - 1,
    what: 'an 8259 of the CPU core',
  })),
  ...[
    { start: IO_APIC_ADDRESS, what: "the CPU core's I/O APIC" },
    { start: LOCAL_APIC_ADDRESS, what: "the CPU core's local APIC" },
  ].map(({ start, what }): OwnRange => ({ type: 'mmio', start, end: start + PAGE_BYTES - 1, what })),
];

export function registerControllers({ ports, mmio }: HandlerTables): void {
  PIC_PORTS.forEach((port, index) => ports.register(index, port, PORTS_EACH, UNANSWERED_PORT));
  for (const address of [IO_APIC_ADDRESS, LOCAL_APIC_ADDRESS])
    mmio.register(address, address + PAGE_BYTES, UNANSWERED_ADDRESS);
}
