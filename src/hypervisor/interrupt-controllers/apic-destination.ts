/**
 * Whether a message's destination names the local APIC of the one vCPU, whose APIC ID is 0.
 *
 * Called by: LocalApic.
 *
 * Source: Intel SDM volume 3, "Determining IPI Destination".
 */

const OWN_ID = 0;
/** All local APICs, in physical and in logical mode. */
const BROADCAST = 0xff;
/** Bits 31…28 of the destination format register. Other values are undefined. */
const MODEL_SHIFT = 28;
const FLAT_MODEL = 0xf;
const CLUSTER_MODEL = 0;

export function isPhysicalTarget(destination: number): boolean {
  return destination === OWN_ID || destination === BROADCAST;
}

/** The registers are the whole words: the logical ID is in bits 31…24. */
export function isLogicalTarget(destination: number, logicalRegister: number, formatRegister: number): boolean {
  if (destination === BROADCAST) return true;
  const own = logicalRegister >>> 24;
  const model = formatRegister >>> MODEL_SHIFT;
  if (model === FLAT_MODEL) return (destination & own) !== 0;
  // The upper four bits name a cluster, the lower four are a bit for each of its members.
  return model === CLUSTER_MODEL && destination >>> 4 === own >>> 4 && (destination & own & 0xf) !== 0;
}
