/**
 * A transfer to another privilege level: a far return, an IRET or a task switch, to code that must
 * run at the level which its CS names, or not at all.
 *
 * Called by: PrivilegedGuest; privileged-state.ts, for TARGET_PORT. The code that the transfer
 * leads to is reached by nothing else: every handler halts, and so does the transfer's own code if
 * it comes back.
 *
 * Source: Intel SDM, volume 2, "RET"; volume 3A, section 7.3.
 */

import type { FuzzInput } from '../fuzz-input.js';

/**
 * The port that the target writes to. Every level may do so: both tasks have their I/O permission
 * map at 0, where the bits of this port are 0.
 */
export const TARGET_PORT = 0x81;

/** Selectors that a guest's GDT has in any case. */
export const Known = {
  CODE: 0x08,
  DATA: 0x10,
  USER_CODE: 0x1b,
  USER_DATA: 0x23,
  TASK: 0x28,
  CURRENT_TASK: 0x30,
} as const;
/** 32-bit words of a TSS. */
const TASK_WORDS = 26;
const USUAL = [Known.CODE, Known.DATA, Known.USER_CODE, Known.USER_DATA, Known.USER_DATA];

export interface Transfer {
  readonly code: readonly number[];
  /** Of the new task's TSS, from its start. */
  readonly task: readonly number[];
  /** The code at the target. */
  readonly target: readonly number[];
  /** The only privilege level at which the target may run. */
  readonly level: number;
}

/** `target` is the address of the code to go to, `stack` that of its stack. */
export function transfer(input: FuzzInput, target: number, stack: number): Transfer {
  const selector = (): number =>
    input.below(3) === 0 ? (input.below(32) << 3) | input.below(8) : input.pick([...USUAL, 0, 3, 0x13, 0x20, 0xfff8]);
  const code = input.below(4) === 0 ? selector() : input.pick([Known.USER_CODE, Known.USER_CODE, Known.CODE]);
  const stackSegment = selector();
  const segments = Array.from({ length: 4 }, () => (input.below(3) === 0 ? selector() : 0));
  const localTable = input.below(4) === 0 ? selector() : 0;
  const task = Array.from({ length: TASK_WORDS }, () => 0);
  const [es, ds, fs, gs] = segments as [number, number, number, number];
  // EIP, EFLAGS and ESP; the selectors follow from ES on.
  task[8] = target;
  task[9] = 2;
  task[14] = stack;
  [es, code, stackSegment, ds, fs, gs, localTable].forEach((value, index) => (task[18 + index] = value));

  const push = (value: number): number[] => [0x68, ...imm32(value)];
  const outer = [...push(stackSegment), ...push(stack)];
  const inner = [...push(code), ...push(target)];
  // RETF, RETF 8, IRET, JMP and CALL to the task.
  const ways: readonly (readonly number[])[] = [
    [...outer, ...inner, 0xcb],
    [...outer, ...push(0), ...push(0), ...inner, 0xca, 8, 0],
    [...outer, ...push(2), ...inner, 0xcf],
    [0xea, ...imm32(0), Known.TASK, 0],
    [0x9a, ...imm32(0), Known.TASK, 0],
  ];
  // cli; hlt
  const halt = [0xfa, 0xf4];
  return {
    code: [...input.pick(ways), ...halt],
    task,
    // out TARGET_PORT, al
    target: [0xe6, TARGET_PORT, ...halt],
    level: code & 3,
  };
}

function imm32(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
}
