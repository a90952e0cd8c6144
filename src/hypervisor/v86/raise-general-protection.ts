/**
 * How a core that an access was thrown out of gives its guest the #GP(0) that ACRN injects there. Core uses it, between
 * two runs of the core's main loop; inside of translations the core has a way of its own (translations.ts).
 *
 * The core exports nothing that raises an exception, but it exports its instructions. MOV to CR4 with reserved bits set is
 * #GP(0) in every mode and at every privilege level, and is refused before it changes anything (Intel SDM, volume 2,
 * "MOV - Move to/from Control Registers"). The core then takes for the faulting instruction the one that it began last,
 * which is the one with the access.
 */

import type { CoreExports } from './core-exports.js';
import { CoreOffset, GeneralRegister } from './core-layout.js';

const CR4 = 4;
const RESERVED_BITS = -1;
const EAX = (CoreOffset.generalRegisters >> 2) + GeneralRegister.EAX;

/** `words` is the core's memory from its start. Throws out of the core where the guest has no gate for #GP. */
export function raiseGeneralProtection(core: CoreExports, words: Int32Array): void {
  // The instruction did not come to its end, where the core forgets its prefixes.
  words[CoreOffset.prefixes >> 2] = 0;
  const eax = words[EAX] as number;
  words[EAX] = RESERVED_BITS;
  try {
    core.instr_0F22(GeneralRegister.EAX, CR4);
  } finally {
    words[EAX] = eax;
  }
}
