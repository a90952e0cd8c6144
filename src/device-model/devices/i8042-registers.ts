/**
 * Registers of the PC's keyboard controller: status and configuration bits, and the commands for
 * port 0x64 (IBM PS/2 Hardware Interface Technical Reference). The commands whose names have AUX
 * are those of controllers with a second port, for a mouse.
 */

import type { RegisterMap } from '../register-map.js';

/** Bits of the status, port 0x64. I8042_REGISTERS says what each means. */
export const I8042Status = {
  OUTPUT_FULL: 1 << 0,
  SYSTEM: 1 << 2,
  COMMAND: 1 << 3,
  NOT_LOCKED: 1 << 4,
  AUX_DATA: 1 << 5,
  TIMEOUT: 1 << 6,
} as const;

/** Bits of the configuration byte. AUX is the second port, for a mouse. */
export const I8042Config = {
  KEYBOARD_INTERRUPT: 1 << 0,
  AUX_INTERRUPT: 1 << 1,
  SYSTEM: 1 << 2,
  KEYBOARD_DISABLED: 1 << 4,
  AUX_DISABLED: 1 << 5,
  TRANSLATE: 1 << 6,
} as const;

/**
 * PULSE is 0xF0 to 0xFF: each of the low four bits that is 0 pulses that line of the output port
 * low.
 */
export const I8042Command = {
  READ_CONFIG: 0x20,
  WRITE_CONFIG: 0x60,
  PASSWORD_TEST: 0xa4,
  DISABLE_AUX: 0xa7,
  ENABLE_AUX: 0xa8,
  TEST_AUX: 0xa9,
  SELF_TEST: 0xaa,
  TEST_KEYBOARD: 0xab,
  DISABLE_KEYBOARD: 0xad,
  ENABLE_KEYBOARD: 0xae,
  READ_INPUT_PORT: 0xc0,
  READ_OUTPUT_PORT: 0xd0,
  WRITE_OUTPUT_PORT: 0xd1,
  WRITE_KEYBOARD_BUFFER: 0xd2,
  WRITE_AUX_BUFFER: 0xd3,
  WRITE_AUX: 0xd4,
  PULSE: 0xf0,
} as const;

/** `offset` is from port 0x60. The ports 0x61 to 0x63 belong to other devices. */
export const I8042_REGISTERS: RegisterMap = {
  source: 'IBM PS/2 Hardware Interface Technical Reference, keyboard and auxiliary device controller',
  registers: [
    {
      offset: 0,
      size: 1,
      name: 'DATA',
      access: 'rw',
      meaning: 'read: output buffer; write: to the keyboard, or a parameter',
    },
    {
      offset: 4,
      size: 1,
      name: 'STATUS/COMMAND',
      access: 'rw',
      meaning: 'read: status; write: a command to the controller',
      fields: [
        { bits: [0, 0], name: 'OBF', meaning: 'the output buffer has a byte' },
        {
          bits: [1, 1],
          name: 'IBF',
          meaning: 'the input buffer is full; never set, the controller takes bytes at once',
        },
        { bits: [2, 2], name: 'SYS', meaning: 'the self-test was passed' },
        { bits: [3, 3], name: 'A2', meaning: 'the last write was a command' },
        { bits: [4, 4], name: 'INH', meaning: 'the keyboard is not locked' },
        { bits: [5, 5], name: 'AUXB', meaning: 'the byte comes from the auxiliary device' },
        { bits: [6, 6], name: 'TIMEOUT', meaning: 'a device did not answer' },
        { bits: [7, 7], name: 'PARITY', meaning: 'never set' },
      ],
    },
  ],
};

/**
 * The controller's output port, which command 0xD0 reads and 0xD1 writes: reset line (low resets)
 * and A20 gate. Bit 4 is interrupt line 1, bits 6 and 7 are the keyboard's clock and data wires.
 */
export const I8042Output = { RESET: 1 << 0, A20: 1 << 1, KEYBOARD_FULL: 1 << 4, WIRES: 0xc0 } as const;

/** Each of the two devices has one register of the map, at offset 0. */
export const DATA_REGISTER = registerAlone('DATA');
export const STATUS_REGISTER = registerAlone('STATUS/COMMAND');

/** The map with the register of this name only, at offset 0. */
function registerAlone(name: string): RegisterMap {
  const { source, registers } = I8042_REGISTERS;
  return { source, registers: registers.filter((one) => one.name === name).map((one) => ({ ...one, offset: 0 })) };
}
