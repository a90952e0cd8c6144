/**
 * The 440FX host bridge under comparison: its configuration space through ports 0xCF8 to 0xCFF.
 *
 * Called by: compared-devices.ts.
 */

import { PciHostBridge } from '../../device-model/devices/pci/pci-host-bridge.js';
import type { AccessSize } from '../../device-model/device.js';
import type { Chance } from '../chance.js';
import type { ComparedDevice, Difference } from '../compared-device.js';
import { read, write, type Action, type Step } from '../step.js';

// Offsets of the address port (0xCF8) and the data port (0xCFC).
const ADDRESS = 0;
const DATA = 4;
const ENABLE = 0x8000_0000;
const REGISTERS = 256;
const SIZES: readonly [AccessSize, AccessSize, AccessSize] = [1, 2, 4];

/** Bits that QEMU stores and the chip does not, or the other way around, by register. */
const FREE_IN_QEMU: Readonly<Record<number, number>> = {
  ...{ 0x04: 0x47, 0x05: 0x04, 0x06: 0x80, 0x07: 0x06, 0x0c: 0xff, 0x0d: 0xff, 0x3c: 0xff },
  ...{ 0x2c: 0xff, 0x2d: 0xff, 0x2e: 0xff, 0x2f: 0xff },
  ...{ 0x59: 0xcf, 0x5a: 0xcc, 0x5b: 0xcc, 0x5c: 0xcc, 0x5d: 0xcc, 0x5e: 0xcc, 0x5f: 0xcc },
};

const SHEET = 'Intel 440FX data sheet (290549), PMC configuration registers';

/**
 * The memory controller's registers, which upcall does not have: PMCCFG to DRAMT, DRB and FDHC, MTT
 * to SMRAM, ERRCMD and ERRSTS, TRC.
 */
const NOT_MODELLED: readonly (readonly [first: number, last: number])[] = [
  ...([
    [0x50, 0x58],
    [0x60, 0x68],
    [0x70, 0x72],
    [0x90, 0x91],
    [0x93, 0x93],
  ] as const),
];
const isNotModelled = (register: number): boolean =>
  NOT_MODELLED.some(([first, last]) => register >= first && register <= last);
/** The rest from 0x40 on, but for the shadow RAM registers (PAM). */
const isReserved = (register: number): boolean =>
  register >= 0x40 && (register < 0x59 || register > 0x5f) && !isNotModelled(register);

/** The registers of the access whose bytes differ, in which bits, and what ours reads as. */
function differing({ steps, ours, reference }: Difference): { register: number; bits: number; value: number }[] {
  const first = registerOf(steps);
  return [0, 1, 2, 3]
    .map((byte) => ({
      register: first + byte,
      bits: (((ours.value ?? 0) ^ (reference.value ?? 0)) >>> (8 * byte)) & 0xff,
      value: ((ours.value ?? 0) >>> (8 * byte)) & 0xff,
    }))
    .filter(({ bits }) => bits !== 0);
}

/** Selects a register of function 00:00.0. */
function select(register: number): Step {
  return write(ADDRESS, (ENABLE | (register & 0xfc)) >>> 0, 4);
}

/**
 * The register that the last step accesses: the selected one, at the step's place in the data port.
 */
function registerOf(steps: readonly Step[]): number {
  const last = steps.at(-1);
  const address = steps.findLast((step) => step.kind === 'write' && step.offset === ADDRESS);
  if (last === undefined || last.kind === 'wait' || address?.kind !== 'write') return -1;
  return (address.value & 0xfc) + last.offset - DATA;
}

export const HOST_BRIDGE: ComparedDevice = {
  name: 'host-bridge',
  title: '440FX host bridge',
  port: 0xcf8,
  create: () => {
    const bridge = new PciHostBridge();
    let address = 0;
    return {
      read: (offset, size) => (offset < DATA ? address : bridge.readConfig((address & 0xfc) + offset - DATA, size)),
      write: (offset, size, value) => {
        if (offset < DATA) address = value;
        else bridge.writeConfig((address & 0xfc) + offset - DATA, size, value);
      },
    };
  },
  // What programs change: command, status, latency timer and shadow RAM.
  prologue: [
    ...[select(0x04), write(DATA, 0x0000, 2), write(DATA + 2, 0xffff, 2), select(0x0c), write(DATA + 1, 0)],
    ...[select(0x58), write(DATA + 1, 0), write(DATA + 2, 0, 2), select(0x5c), write(DATA, 0, 4)],
  ],
  action,
  // Reserved bits: a shrinker that cleared bits could leave what the data sheet defines.
  anyValue: false,
  explained: [
    {
      what: 'registers of the memory controller (between 0x50 and 0x93, without the shadow RAM registers)',
      right: 'not-modelled',
      source: SHEET,
      because: 'upcall has no memory controller, so they read as 0. QEMU stores every bit of them',
      goesOn: true,
      matches: (difference) =>
        differing(difference).every(({ register, value }) => isNotModelled(register) && value === 0),
    },
    {
      what: 'reserved registers (the others from 0x40 on)',
      right: 'open',
      source: SHEET,
      because: 'nothing may depend on what they read as, which is 0 in upcall. QEMU stores every bit of them',
      goesOn: true,
      matches: (difference) =>
        differing(difference).every(
          ({ register, value }) => (isReserved(register) || isNotModelled(register)) && value === 0,
        ),
    },
    {
      what: 'fixed and reserved bits of PCICMD, PCISTS, MLT and PAM, and registers that this chip does not have',
      right: 'upcall',
      source: SHEET,
      because:
        'PCICMD bits 0 to 2 and PCISTS bits 7, 9 and 10 are hard-wired, and reserved bits read as 0. PERRE and MLT can be written. QEMU has it the other way around',
      goesOn: true,
      matches: (difference) =>
        differing(difference).every(({ register, bits, value }) =>
          isNotModelled(register) ? value === 0 : (bits & ~(FREE_IN_QEMU[register] ?? 0)) === 0,
        ),
    },
  ],
};

function action(chance: Chance): Action {
  const size = chance.pick(SIZES);
  const register = chance.below(REGISTERS / size) * size;
  const at = DATA + (register & 3);
  if (chance.oneIn(2)) return [select(register), read(at, size)];
  const value = chance.pick([0, 0xffff_ffff, chance.between(0, 0xffff_ffff)]) & (size === 4 ? -1 : 2 ** (8 * size) - 1);
  return [select(register), write(at, value >>> 0, size), select(register), read(at, size)];
}
