/**
 * mainLoop: one slice of the core's own main loop. If an access was refused, the guest gets the
 * #GP(0) that ACRN injects there.
 *
 * Called by: Core. Inside of translations the core has a way of its own (translations.ts).
 *
 * The core exports nothing that raises an exception, but it exports its instructions. MOV to CR4
 * with reserved bits set raises #GP(0) in every mode and at every privilege level, before it
 * changes anything (Intel SDM, volume 2, "MOV - Move to/from Control Registers"). The core then
 * reports the instruction that it began last as the faulting one, which is the one with the access.
 */

import { GeneralProtection } from '../io-handler.js';
import type { CoreExports } from './core-exports.js';
import { CoreOffset, GeneralRegister } from './core-layout.js';
import { STACK_POINTER_EXPORT } from './wasm-edit.js';

const CR4 = 4;
const RESERVED_BITS = -1;
const EAX = (CoreOffset.generalRegisters >> 2) + GeneralRegister.EAX;

/**
 * Returns the milliseconds for which the CPU is halted, or 0. `words` is the core's memory from its
 * start. `stackPointer` is the core's own with nothing on its stack.
 */
export function mainLoop(core: CoreExports, words: Int32Array, stackPointer: number): number {
  try {
    return core.main_loop();
  } catch (error) {
    if (!(error instanceof GeneralProtection)) throw error;
    core[STACK_POINTER_EXPORT].value = stackPointer;
    raiseGeneralProtection(core, words);
    return 0;
  }
}

/** Throws if the guest has no gate for #GP. */
function raiseGeneralProtection(core: CoreExports, words: Int32Array): void {
  // The core forgets an instruction's prefixes at its end, which this one did not reach.
  words[CoreOffset.prefixes >> 2] = 0;
  const eax = words[EAX] as number;
  words[EAX] = RESERVED_BITS;
  try {
    core.instr_0F22(GeneralRegister.EAX, CR4);
  } finally {
    words[EAX] = eax;
  }
}
