/**
 * The registers of the interrupt controllers, as the hypervisor's own handlers: accesses to them
 * make no request.
 *
 * The 8259s take accesses of one byte, the APICs of four at an address that is a multiple of 16. A
 * load of fewer bytes within a register's word gets its part of the register. Other loads read all
 * ones, and a store of another size is dropped: the SDM leaves both undefined. A reserved register
 * of the local APIC reads 0 and is an error of the APIC's.
 *
 * ELCR, at ports 0x4d0 and 0x4d1, is the edge/level control register: a bit for each of the 16 pins
 * of the 8259s, set if the pin is level-triggered.
 *
 * Called by: core-interrupts.ts; v86-hypervisor.ts, for the ranges.
 * Threads: the vCPU's.
 */

import type { ReservedRange } from '../hypercalls.js';
import type { HandlerTables } from '../hypervisor.js';
import type { InterruptControllers } from '../interrupt-controllers/interrupt-controllers.js';
import type { MmioHandler } from '../mmio-handlers.js';
import type { PortHandler } from '../port-handlers.js';

const FIRST_8259 = 0x20;
const SECOND_8259 = 0xa0;
const ELCR = 0x4d0;
/** Each of these three is two ports. In ACRN's table of port handlers they have entries 0 to 2. */
const PORT_PAIRS = [FIRST_8259, SECOND_8259, ELCR] as const;
const IO_APIC_ADDRESS = 0xfec0_0000;
const LOCAL_APIC_ADDRESS = 0xfee0_0000;
const PAGE_BYTES = 0x1000;
const ALL_ONES = 0xffff_ffff;

/** The ranges of the controllers, which a device cannot have. Ends are inclusive. */
export const CONTROLLER_RANGES: readonly ReservedRange[] = [
  ...PORT_PAIRS.map((start): ReservedRange => ({
    type: 'port',
    start,
    end: start + 1,
    what: 'an 8259 of the hypervisor',
  })),
  ...[
    { start: IO_APIC_ADDRESS, what: "the hypervisor's I/O APIC" },
    { start: LOCAL_APIC_ADDRESS, what: "the hypervisor's local APIC" },
  ].map(({ start, what }): ReservedRange => ({ type: 'mmio', start, end: start + PAGE_BYTES - 1, what })),
];

/** `changed` is called after each access that may have changed what the controllers request. */
export function registerControllers(
  { ports, mmio }: HandlerTables,
  controllers: InterruptControllers,
  changed: () => void,
): void {
  const handlers = [
    pairHandler(controllers, changed),
    pairHandler(controllers, changed),
    elcrHandler(controllers, changed),
  ];
  PORT_PAIRS.forEach((port, index) => ports.register(index, port, 2, handlers[index] as PortHandler));
  const ioApic = ioApicHandler(controllers, changed);
  const localApic = localApicHandler(controllers, changed);
  mmio.register(IO_APIC_ADDRESS, IO_APIC_ADDRESS + PAGE_BYTES, ioApic);
  mmio.register(LOCAL_APIC_ADDRESS, LOCAL_APIC_ADDRESS + PAGE_BYTES, localApic);
}

/** Either 8259. */
function pairHandler(controllers: InterruptControllers, changed: () => void): PortHandler {
  const chipOf = (port: number) => (port < SECOND_8259 ? controllers.pics.first : controllers.pics.second);
  const isOdd = (port: number): boolean => (port & 1) !== 0;
  return {
    read: (port, size) => {
      if (size !== 1) return ALL_ONES;
      // A poll is an acknowledge cycle.
      const value = controllers.pics.read(chipOf(port), isOdd(port));
      controllers.followPics();
      changed();
      return value;
    },
    write: (port, size, value) => {
      if (size !== 1) return true;
      controllers.pics.write(chipOf(port), isOdd(port), value);
      controllers.followPics();
      changed();
      return true;
    },
  };
}

function elcrHandler(controllers: InterruptControllers, changed: () => void): PortHandler {
  const chipOf = (port: number) => (port === ELCR ? controllers.pics.first : controllers.pics.second);
  return {
    read: (port, size) => (size === 1 ? chipOf(port).levelControl : ALL_ONES),
    write: (port, size, value) => {
      if (size !== 1) return true;
      controllers.pics.writeLevelControl(chipOf(port), value);
      controllers.followPics();
      changed();
      return true;
    },
  };
}

function ioApicHandler(controllers: InterruptControllers, changed: () => void): MmioHandler {
  return {
    read: (address, size) => partOf(address, size, (offset) => controllers.ioApic.read(offset)),
    write: (address, size, value) => {
      if (size !== 4) return true;
      controllers.ioApic.write(address - IO_APIC_ADDRESS, value);
      changed();
      return true;
    },
  };
}

/** Forwards accesses while IA32_APIC_BASE disables the APIC: its page is ordinary space then. */
function localApicHandler(controllers: InterruptControllers, changed: () => void): MmioHandler {
  return {
    read: (address, size) => {
      if (!controllers.localApic.existsForGuest) return undefined;
      // Reading a reserved register is an error, which may interrupt.
      const value = partOf(address, size, (offset) => controllers.localApic.read(offset));
      changed();
      return value;
    },
    write: (address, size, value) => {
      if (!controllers.localApic.existsForGuest) return false;
      if (size !== 4) return true;
      controllers.localApic.write(address - LOCAL_APIC_ADDRESS, value);
      changed();
      return true;
    },
  };
}

/** A load of at most 4 bytes that lies in one register's word. All others give all ones. */
function partOf(address: number, size: number, read: (offset: number) => number): number {
  const inWord = address & 3;
  if (inWord + size > 4) return ALL_ONES;
  return read((address & (PAGE_BYTES - 1)) - inWord) >>> (8 * inWord);
}
