/**
 * The 64-bit register that receives a read, by the size of the access: 1 and 2 bytes keep the rest
 * of the register, 4 bytes clear the upper half, 8 replace it. The v86 core does this itself. This
 * function is for hypervisors that get the bare value. ACRN keeps bits 63…32 on a 4-byte IN, unlike
 * hardware.
 *
 * Called by: ScriptPlayer.
 *
 * Source: Intel SDM volume 1, section 3.4.1.1.
 */

export function mergeRegister(register: bigint, value: bigint, size: number): bigint {
  if (size >= 8) return BigInt.asUintN(64, value);
  const bits = size * 8;
  const narrow = BigInt.asUintN(bits, value);
  if (size >= 4) return narrow;
  return (BigInt.asUintN(64, register) & ~((1n << BigInt(bits)) - 1n)) | narrow;
}
