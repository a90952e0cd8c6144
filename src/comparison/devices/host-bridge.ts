/** The 440FX host bridge under comparison: its configuration space through ports 0xCF8 to 0xCFF. */

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

/** The bits of a register that upcall lacks: all from 0x40 on, but for PAM (0x59 to 0x5F). */
function absentBits(register: number): number {
  return register >= 0x40 && (register < 0x59 || register > 0x5f) ? 0xff : 0;
}

/** Whether each byte of the access differs at most in the bits that `bits` has for its register. */
function differsOnlyIn({ steps, ours, reference }: Difference, bits: (register: number) => number): boolean {
  const register = registerOf(steps);
  const differing = (ours.value ?? 0) ^ (reference.value ?? 0);
  return [0, 1, 2, 3].every((byte) => ((differing >>> (8 * byte)) & 0xff & ~bits(register + byte)) === 0);
}

/** Function 00:00.0. */
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
  anyValue: false,
  explained: [
    {
      what: 'registers that upcall does not have (0x40 to 0xFF, without the shadow RAM registers)',
      right: 'open',
      source: SHEET,
      because:
        'they are reserved or of the memory controller, which upcall does not have: they read as 0. QEMU stores them all',
      goesOn: true,
      matches: (difference) => differsOnlyIn(difference, absentBits),
    },
    {
      what: 'fixed and reserved bits of PCICMD, PCISTS, MLT and PAM, and registers that this chip does not have',
      right: 'upcall',
      source: SHEET,
      because:
        'PCICMD bits 0 to 2 and PCISTS bits 7, 9 and 10 are hard-wired, and reserved bits read as 0. PERRE and MLT can be written. QEMU has it the other way around',
      goesOn: true,
      matches: (difference) =>
        differsOnlyIn(difference, (register) => (FREE_IN_QEMU[register] ?? 0) | absentBits(register)),
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
