/**
 * panicMeaning: what a panic of the core means for its guest, by the place in the core's source.
 *
 * Called by: exception-delivery.ts. transfer-edits.ts and segment-checks.ts use `Exception`.
 * core-panics.test.ts searches the module for all places where the core's CPU can panic and
 * compares them with this table, so none is missing.
 *
 * A panic has one of three causes:
 *
 * - The core lacks an exception: `EXCEPTIONS` says which one is due, and its error code.
 * - It raised a page fault where its author expected none. The guest's handler is entered already,
 *   so the CPU just goes on (`PAGE_FAULTS`).
 * - A table of its own is inconsistent. That is an error of the core.
 *
 * Sources: v86@0.5.462, Intel SDM volume 2 (CALL, INT n, IRET, LLDT, LTR, MOV CR) and volume 3A,
 * chapters 6 and 7.
 */

export const Exception = {
  DIVIDE_ERROR: 0,
  DOUBLE_FAULT: 8,
  INVALID_TSS: 10,
  NOT_PRESENT: 11,
  STACK_FAULT: 12,
  GENERAL_PROTECTION: 13,
  PAGE_FAULT: 14,
} as const;

/** Where the error code comes from. */
export type ErrorCodeSource =
  | 'zero'
  /** The last selector whose descriptor the core looked up, or the vector's gate if it had none. */
  | 'selector'
  /** The selector of the current task's TSS. */
  | 'task'
  /** As 'selector'; #TS instead of the vector if the task switch is a return by IRET. */
  | 'new-task';

export interface DueException {
  readonly vector: number;
  readonly errorCode: ErrorCodeSource;
}

export type PanicMeaning = DueException | 'page-fault-raised' | 'core-error';

const { INVALID_TSS, NOT_PRESENT, STACK_FAULT, GENERAL_PROTECTION } = Exception;
// #GP, #NP, #SS and #TS, each with its source of the error code.
const gp: DueException = { vector: GENERAL_PROTECTION, errorCode: 'selector' };
const np: DueException = { vector: NOT_PRESENT, errorCode: 'selector' };
const ss: DueException = { vector: STACK_FAULT, errorCode: 'selector' };
const ts: DueException = { vector: INVALID_TSS, errorCode: 'selector' };
const tsOfTask: DueException = { vector: INVALID_TSS, errorCode: 'task' };
const gpTask: DueException = { vector: GENERAL_PROTECTION, errorCode: 'new-task' };
const gpZero: DueException = { vector: GENERAL_PROTECTION, errorCode: 'zero' };

const CPU = 'src/rust/cpu/cpu.rs';

/** By the line of cpu.rs. */
export const EXCEPTIONS: ReadonlyMap<number, DueException> = new Map([
  // The stack of an inner privilege level lies beyond the limit of the TSS.
  [482, tsOfTask],
  [493, tsOfTask],
  // IRET in real mode to an EIP above 64 KiB.
  [531, gpZero],
  // IRET: CS is null, beyond its table, not present, not code, of an inner level, conforming.
  [626, gp],
  [628, gp],
  [643, np],
  [646, gp],
  [649, gp],
  [652, gp],
  // Interrupts: beyond the IDT, no gate, reserved bits of the gate.
  [815, gp],
  [847, gp],
  [857, gp],
  // CS of the gate: null, beyond its table, not code or of an outer level; from virtual-8086 mode.
  [887, gpZero],
  [891, gp],
  [899, gp],
  [915, gp],
  // SS of the TSS: null or beyond its table, privilege level, not writable, not present.
  [928, ts],
  [941, ts],
  [946, ts],
  [949, ss],
  // CS of the gate, whose level the core has refused at 899 already.
  [1038, gp],
  // Call gate: SS of the TSS, as above.
  [1239, ts],
  [1242, ts],
  [1257, ts],
  [1260, ts],
  [1263, ss],
  // Task switch: TSS beyond its table, not busy (IRET), busy (others), not present, too short; the
  // old task's TSS beyond its table. The edits check a switch before (transfer-edits.ts), so that
  // these rows, and those of the new CS, only say what the core means.
  [1670, gpTask],
  [1682, ts],
  [1687, gp],
  [1691, np],
  [1695, ts],
  [1741, ts],
  // CS of the new task: null, beyond its table, not code, privilege levels, not present.
  [1795, ts],
  [1799, ts],
  [1804, ts],
  [1808, ts],
  [1813, ts],
  [1818, ts],
  [1823, np],
  // LTR: null, beyond its table, not a TSS, busy, not present.
  [2707, gpZero],
  [2710, gp],
  [2723, gp],
  [2731, gp],
  [2738, np],
  // LLDT: beyond its table, not present, not an LDT.
  [2772, gp],
  [2777, np],
  [2781, gp],
  [2785, gp],
  // MOV CR0 with PG and without PE.
  [2834, gpZero],
]);

/**
 * Lines of cpu.rs that access memory, so that a panic there may be a page fault. In the files of
 * PAGE_FAULT_FILES every line counts as one.
 */
const PAGE_FAULTS: readonly (readonly [from: number, to: number])[] = [
  [994, 1139],
  [1309, 1482],
  [1583, 1591],
  [1667, 1890],
  [2683, 2748],
  [2947, 2967],
  [3742, 3743],
  [3896, 3921],
];
const PAGE_FAULT_FILES = ['src/rust/cpu/fpu.rs', 'src/rust/cpu/misc_instr.rs', 'src/rust/cpu/instructions_0f.rs'];

export function panicMeaning(file: string, line: number): PanicMeaning {
  if (PAGE_FAULT_FILES.includes(file)) return 'page-fault-raised';
  if (file !== CPU) return 'core-error';
  const due = EXCEPTIONS.get(line);
  if (due !== undefined) return due;
  return PAGE_FAULTS.some(([from, to]) => line >= from && line <= to) ? 'page-fault-raised' : 'core-error';
}
