/**
 * The x86 filter of the xz format ("BCJ", filter 0x04), undone. Before compression, the relative
 * targets of CALL (E8) and JMP (E9) were made absolute, so that calls of one function look alike;
 * here they become relative again. Linux kernels are packed that way.
 *
 * Called by: compression.ts, for the bytes that the library has unpacked.
 *
 * The packer cannot distinguish code from data. It converts what looks like a near branch: an
 * opcode whose operand has a top byte of 00 or FF. An opcode that it skipped within the three bytes
 * before may have an operand that overlaps with this one. So it leaves a branch alone after several
 * such opcodes, and after a single one whose own operand has a top byte of 00 or FF.
 */

const OPERAND_BYTES = 4;

function isBranch(byte: number | undefined): boolean {
  return byte === 0xe8 || byte === 0xe9;
}

/** The top byte of a branch within 16 MiB, forwards or backwards. */
function isNear(byte: number | undefined): boolean {
  return byte === 0x00 || byte === 0xff;
}

/**
 * By `skipped`: the distance back to the only skipped opcode, 0 without one, undefined if there are
 * several. Bit d − 1 of `skipped` stands for an opcode at distance d.
 */
const DISTANCE: readonly (number | undefined)[] = [0, 1, 2, undefined, 3, undefined, undefined, undefined];

/** Works in place. `bytes` is the complete stream from its start. */
export function undoX86Filter(bytes: Uint8Array<ArrayBuffer>): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let skipped = 0;
  for (let at = 0; at + OPERAND_BYTES < bytes.length; at++) {
    if (isBranch(bytes[at])) {
      const distance = DISTANCE[skipped];
      const convert =
        distance !== undefined &&
        isNear(bytes[at + OPERAND_BYTES]) &&
        (distance === 0 || !isNear(bytes[at + OPERAND_BYTES - distance]));
      if (convert) {
        view.setUint32(at + 1, relative(view.getUint32(at + 1, true), at + 1 + OPERAND_BYTES, distance), true);
        at += OPERAND_BYTES;
        skipped = 0;
        continue;
      }
      skipped = ((skipped << 1) | 1) & 7;
    } else {
      skipped = (skipped << 1) & 7;
    }
  }
}

/**
 * The relative operand of a branch to `absolute`, whose next instruction is at `next`. The top byte
 * of the operand of the skipped opcode is a byte of this operand, too. If it is 00 or FF in the
 * result, the packer would have left the branch alone. So the result then stands for its inverse
 * from that byte down, from which `next` is subtracted once more. That yields at this byte the
 * inverse of the byte of `absolute`, which is neither 00 nor FF. So once is enough.
 */
function relative(absolute: number, next: number, distance: number): number {
  let result = (absolute - next) | 0;
  if (distance > 0 && isNear((result >>> (24 - 8 * distance)) & 0xff))
    result = ((result ^ (2 ** (32 - 8 * distance) - 1)) - next) | 0;
  // The filter keeps 25 bits, the highest of them as the sign.
  return ((result << 7) >> 7) >>> 0;
}
