/**
 * Explained differences of the keyboard controller.
 *
 * Called by: keyboard.ts.
 */

import type { ExplainedDifference } from '../compared-device.js';
import type { Step } from '../step.js';

/** Offset of port 0x64. */
const COMMAND_PORT = 4;
/** Status bit 3: address line A2 at the last write, 0 for port 0x60. */
const A2 = 0x08;
// Commands to the controller.
const WRITE_CONFIG = 0x60;
const DISABLE_KEYBOARD = 0xad;
const ENABLE_KEYBOARD = 0xae;
/** Bit 4 of the command byte. */
const KEYBOARD_DISABLED = 0x10;

export const KEYBOARD_EXPLAINED: readonly ExplainedDifference[] = [
  {
    what: 'status bit 3 after a write to the data port',
    right: 'upcall',
    source: 'IBM PS/2 Hardware Interface Technical Reference, keyboard controller, status register',
    because: 'it is 1 if the last write went to the command port. In QEMU it is always 1',
    goesOn: true,
    matches: ({ of, step, ours, reference }) =>
      of === 'value' &&
      step.kind === 'read' &&
      step.offset === COMMAND_PORT &&
      ((ours.value ?? 0) ^ (reference.value ?? 0)) === A2,
  },
  {
    what: 'the interrupt of a byte in the output buffer while the keyboard is disabled',
    right: 'upcall',
    source: 'IBM PS/2 Hardware Interface Technical Reference, keyboard controller, command byte',
    because: 'bit 4 stops the keyboard, and bit 0 enables the interrupt of the output buffer. QEMU needs both',
    goesOn: true,
    matches: ({ of, ours, steps }) => of === 'line' && ours.level && isDisabled(steps),
  },
];

/** Whether the keyboard is disabled after all of `steps`: by its command or by bit 4. */
function isDisabled(steps: readonly Step[]): boolean {
  let disabled = false;
  let isConfigNext = false;
  for (const step of steps) {
    if (step.kind !== 'write') continue;
    if (step.offset === COMMAND_PORT) {
      if (step.value === DISABLE_KEYBOARD || step.value === ENABLE_KEYBOARD) disabled = step.value === DISABLE_KEYBOARD;
      isConfigNext = step.value === WRITE_CONFIG;
    } else {
      if (isConfigNext) disabled = (step.value & KEYBOARD_DISABLED) !== 0;
      isConfigNext = false;
    }
  }
  return disabled;
}
