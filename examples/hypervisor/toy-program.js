// @ts-check
/**
 * The toy CPU's instructions, and programs of them as bytes.
 *
 * An instruction has 16 bytes: what it does, the size of its access (1, 2, 4 or 8), 6 bytes that
 * are not used, and an operand of 8 bytes, lowest byte first. The CPU has one register, A, of 64
 * bits.
 */

export const INSTRUCTION_BYTES = 16;

export const Op = {
  /** Halts for good. */
  HALT: 0,
  /** A = operand. */
  SET: 1,
  /** A = A + operand. */
  ADD: 2,
  /** RAM at address operand = A, 8 bytes. */
  SAVE: 3,
  /** A = RAM at address operand, 8 bytes. */
  FETCH: 4,
  /** A = what port operand reads. */
  IN: 5,
  /** Writes A to port operand. */
  OUT: 6,
  /** A = what address operand reads. */
  LOAD: 7,
  /** Writes A to address operand. */
  STORE: 8,
  /** Goes on at address operand. */
  JUMP: 9,
  /** Waits for an edge of interrupt line operand. */
  WAIT: 10,
  /** A = the accesses that were refused so far. */
  FAULTS: 11,
};

/** @typedef {readonly [op: number, operand?: number | bigint, size?: number]} Instruction */

/**
 * @param {readonly Instruction[]} instructions
 * @returns {Uint8Array}
 */
export function assemble(instructions) {
  const bytes = new Uint8Array(instructions.length * INSTRUCTION_BYTES);
  const view = new DataView(bytes.buffer);
  instructions.forEach(([op, operand = 0, size = 1], index) => {
    bytes[index * INSTRUCTION_BYTES] = op;
    bytes[index * INSTRUCTION_BYTES + 1] = size;
    view.setBigUint64(index * INSTRUCTION_BYTES + 8, BigInt.asUintN(64, BigInt(operand)), true);
  });
  return bytes;
}

/** COM1, and ACPI's way to power off: SLP_EN with the type of state S5. */
const SERIAL_PORT = 0x3f8;
const POWER_PORT = 0x404;
const POWER_OFF = 0x3400;
/** The toy hypervisor answers it itself. */
export const VERSION_PORT = 0xe0;

/** @param {string} text @returns {Instruction[]} */
const print = (text) =>
  [...text].flatMap((one) => [
    [Op.SET, one.charCodeAt(0)],
    [Op.OUT, SERIAL_PORT],
  ]);

/** hello.bin: says hello with its version, and powers off. @type {readonly Instruction[]} */
export const HELLO = [
  ...print('Hello from the toy CPU, version '),
  [Op.IN, VERSION_PORT],
  [Op.OUT, SERIAL_PORT],
  ...print('.\r\n'),
  [Op.SET, POWER_OFF],
  [Op.OUT, POWER_PORT, 2],
  [Op.HALT],
];
