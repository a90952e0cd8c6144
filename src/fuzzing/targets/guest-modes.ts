/**
 * The CPU modes of the target "code", each with its initial registers and its device addresses.
 * Data segments reach 4 GiB in every mode, so that all modes use the same addresses.
 *
 * Called by: machine-code.ts, machine-program.ts and machine-bench.ts.
 */

import type { GuestMemory, VcpuRegisters } from '../../index.js';

export interface GuestMode {
  readonly name: string;
  /** The default size of operands and addresses. */
  readonly is32Bit: boolean;
  /**
   * `mode` is `flat-32` also for 16-bit protected mode, which the attributes of its segments
   * select.
   */
  readonly registers: VcpuRegisters;
  /** Ranges of device memory: linear address, physical address and length. */
  readonly windows: readonly { readonly linear: number; readonly physical: number; readonly bytes: number }[];
  /** Writes tables to RAM, before each program. Undefined if the mode needs none. */
  readonly setUp?: (memory: GuestMemory) => void;
}

export const CODE_ADDRESS = 0x8000;
export const DATA_ADDRESS = 0x3_0000;
// Physical addresses in RAM.
const STACK = 0x7000;
const GDT = 0x6000;
const PAGE_DIRECTORY = 0x2_0000;
const LOW_TABLE = 0x2_1000;
const DEVICE_TABLE = 0x2_2000;
const PAGE = 0x1000;
const PAGES_OF_TABLE = 1024;
const PRESENT_AND_WRITABLE = 3;
const ALL = 0xffff_ffff;
/** Attributes of 16-bit segments: present readable code, present writable data. */
const CODE_16 = 0x009b;
const DATA_16 = 0x0093;
/** CR0 with PG, ET and PE. */
const PAGED = 0x8000_0011;

/**
 * Device memory in paged mode: this linear range maps every second page of the device, backwards.
 */
const PAGED_WINDOW = 0x40_0000;
const PAGED_PAGES = 16;
const DEVICE = 0xd000_0000;

// Windows of the modes without paging. RAM ends far below DEVICE. Video memory is a hole in RAM.
// The last one ends 16 bytes below 4 GiB: no access of 16 bytes wraps.
const device = { linear: DEVICE, physical: DEVICE, bytes: 16 * PAGE };
const video = { linear: 0xa_0000, physical: 0xa_0000, bytes: 2 * PAGE };
const top = { linear: 0xffff_e000, physical: 0xffff_e000, bytes: 0x1ff0 };

// The core takes base, limit and attributes from here. It never reads the GDT, which stays empty:
// no program loads a segment register.
const flat = { selector: 8, base: 0, limit: ALL };
const data = { selector: 16, base: 0, limit: ALL };

export const GUEST_MODES: readonly GuestMode[] = [
  {
    name: '32-bit',
    is32Bit: true,
    registers: { mode: 'flat-32', ip: CODE_ADDRESS, esp: STACK, cs: flat, ds: data, gdt: { base: GDT, limit: 31 } },
    windows: [device, video, top],
  },
  {
    name: '32-bit paged',
    is32Bit: true,
    registers: {
      mode: 'flat-32',
      ip: CODE_ADDRESS,
      esp: STACK,
      cs: flat,
      ds: data,
      gdt: { base: GDT, limit: 31 },
      cr3: PAGE_DIRECTORY,
      cr0: PAGED,
    },
    windows: Array.from({ length: PAGED_PAGES }, (_, page) => ({
      linear: PAGED_WINDOW + page * PAGE,
      physical: physicalPage(page),
      bytes: PAGE,
    })),
    setUp: (memory) => {
      memory.writeU32(PAGE_DIRECTORY, LOW_TABLE | PRESENT_AND_WRITABLE);
      memory.writeU32(PAGE_DIRECTORY + 4, DEVICE_TABLE | PRESENT_AND_WRITABLE);
      for (let page = 0; page < PAGES_OF_TABLE; page++)
        memory.writeU32(LOW_TABLE + 4 * page, (page * PAGE) | PRESENT_AND_WRITABLE);
      for (let page = 0; page < PAGED_PAGES; page++)
        memory.writeU32(DEVICE_TABLE + 4 * page, (physicalPage(page) | PRESENT_AND_WRITABLE) >>> 0);
    },
  },
  {
    name: '16-bit protected',
    is32Bit: false,
    registers: {
      mode: 'flat-32',
      ip: CODE_ADDRESS,
      esp: STACK,
      cs: { ...flat, attributes: CODE_16 },
      ds: { ...data, attributes: DATA_16 },
      gdt: { base: GDT, limit: 31 },
    },
    windows: [device, video, top],
  },
  {
    name: 'real',
    is32Bit: false,
    registers: { mode: 'real', ip: CODE_ADDRESS, esp: STACK, cs: { selector: 0 }, ds: { selector: 0, limit: ALL } },
    windows: [device, video, top],
  },
];

/** The device page that page `page` of the paged window maps. */
function physicalPage(page: number): number {
  return DEVICE + 2 * (PAGED_PAGES - page) * PAGE;
}

/** The physical address of a linear one, or undefined outside the windows. */
export function physicalOf({ windows }: GuestMode, linear: number): number | undefined {
  const window = windows.find((one) => linear >= one.linear && linear < one.linear + one.bytes);
  return window === undefined ? undefined : window.physical + linear - window.linear;
}
