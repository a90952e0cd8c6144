/**
 * Edits of the core's far return and task switch: they check what they will load before they change
 * anything.
 *
 * - A far RET to an outer privilege level loads SS. The core raises an exception where that fails,
 *   and then goes to the return address all the same, at the inner level. Edited, it checks SS
 *   first: #GP or #SS, with nothing changed.
 * - A task switch reads the TSS, the LDT and six segments. The core marks the task busy first, and
 *   its task runs on although a segment was refused. Edited, it probes the pages of both TSSs and
 *   checks all of these first: #PF, #TS, #NP or #SS, raised in the *old* task with nothing changed.
 *   (A CPU raises most of them in the new task, before its first instruction.)
 * - The accesses of a task switch are the CPU's own. The core made them with the rights of the old
 *   task.
 *
 * What is refused after these checks (a device wrote into the TSS meanwhile, or another page of
 * the guest is the same memory) shuts the guest's CPU down: `AddedOffset.switching` says so to
 * exception-delivery.ts.
 *
 * Sources: Intel SDM volume 2, "RET"; volume 3A, sections 4.4.1 and 7.3.
 *
 * Called by: wasm-edit.ts. Each edit throws CORE_MISMATCH if the module is not as expected.
 */

import type { UpcallError } from '../../io-request/upcall-error.js';
import { AddedOffset, CoreOffset, SystemSegmentIndex, TaskSwitch } from './core-layout.js';
import { Exception } from './panic-sites.js';
import { Access, access, FINE, has, isAbsent, isBadCode, RAISED, requested, SegmentChecks } from './segment-checks.js';
import {
  ABOVE,
  ADD,
  AND,
  BELOW,
  bodyOf,
  call,
  constant,
  EQUAL,
  IS_ZERO,
  loadByte,
  loadHalf,
  loadWord,
  local,
  NOT_EQUAL,
  OR,
  paddedCall,
  RETURN,
  select,
  SHIFT_LEFT,
  storeByte,
  storeWord,
  SUBTRACT,
  UNREACHABLE,
  when,
} from './wasm-code.js';
import type { WasmFunctions } from './wasm-functions.js';

type Code = readonly number[];

const { INVALID_TSS, NOT_PRESENT, GENERAL_PROTECTION } = Exception;
/** EFLAGS.VM, in the third byte of EFLAGS. */
const VM = 2;
/** ESP is the fifth of the general registers. */
const GENERAL_ESP = CoreOffset.generalRegisters + 16;
/** SegmentIndex.SS. */
const SS = 2;
/** Of a descriptor's access byte: the type, and S, which is 0 in those of tasks and tables. */
const TYPE = 0x1f;
const BUSY = 2;
const TASK_32 = 9;
const TASK_16 = 1;
const LOCAL_TABLE = 2 | Access.PRESENT;
/** ES, SS, DS, FS and GS. A task switch loads CS in another way. */
const SEGMENT_LOADS = 5;

/** Offsets in a TSS of 32 bits. */
const Tss = {
  FLAGS: 0x24,
  ES: 0x48,
  CS: 0x4c,
  SS: 0x50,
  DS: 0x54,
  FS: 0x58,
  GS: 0x5c,
  LDT: 0x60,
  BYTES: 0x68,
} as const;
const base = (segment: number): Code => loadWord(CoreOffset.segmentBases + 4 * segment);
const limit = (segment: number): Code => loadWord(CoreOffset.segmentLimits + 4 * segment);
const cpl = loadByte(CoreOffset.cpl);

export function editTransfers(functions: WasmFunctions, mismatch: (what: string) => UpcallError): void {
  const checks = new SegmentChecks(functions);
  editFarReturn(functions, checks);
  editTaskSwitch(functions, checks, mismatch);
}

/** `far_return` has the parameters EIP, selector, bytes of parameters, operand size. */
function editFarReturn(functions: WasmFunctions, checks: SegmentChecks): void {
  const [selector, adjustment, is32] = [local(0), local(1), local(2)];
  const result = AddedOffset.lookup;
  // SS lies behind EIP, CS, the parameters and ESP.
  const top = [...loadWord(GENERAL_ESP), ...adjustment, ADD, ...select(is32, constant(12), constant(6)), ADD];
  const address = [
    ...base(SS),
    ...select(loadByte(CoreOffset.stackIs32), top, [...top, ...constant(0xffff), AND]),
    ADD,
  ];
  const refused = functions.append(3, 1, [
    ...when([...requested(selector), ...cpl, ABOVE, IS_ZERO], FINE),
    ...useLocalTable(base(SystemSegmentIndex.LOCAL_TABLE), limit(SystemSegmentIndex.LOCAL_TABLE)),
    // The core itself refuses a bad CS before it changes anything.
    ...checks.find(selector, FINE),
    ...when([...isBadCode(selector), ...isAbsent, OR], FINE),
    // It leaves a byte, not 0 if a page fault was raised, and the value from byte 4 on.
    ...[...constant(result), ...address, ...call(functions.index('safe_read16'))],
    ...when(loadByte(result), RAISED),
    ...checks.stack(loadHalf(result + 4), requested(selector), GENERAL_PROTECTION),
  ]);
  const isProtected = [
    ...[...loadByte(CoreOffset.protectedMode)],
    ...[...loadByte(CoreOffset.flags + 2), ...constant(VM), AND, IS_ZERO, AND],
  ];
  functions.insertAtStart(
    functions.index('far_return'),
    when(isProtected, when([...local(1), ...local(2), ...local(3), ...call(refused)], [RETURN])),
  );
}

function useLocalTable(base: Code, limit: Code): Code {
  return [...storeWord(AddedOffset.localTableBase, base), ...storeWord(AddedOffset.localTableLimit, limit)];
}

/** Callers call the edited function. It calls a copy of the original. */
function editTaskSwitch(
  functions: WasmFunctions,
  checks: SegmentChecks,
  mismatch: (what: string) => UpcallError,
): void {
  const task = functions.index('do_task_switch');
  const load = functions.index('switch_seg');
  const loadOrStop = functions.append(2, 1, [
    ...when([...local(0), ...local(1), ...call(load), IS_ZERO], [UNREACHABLE]),
    ...constant(1),
  ]);
  const loads = functions.replaceEach(task, paddedCall(load), () => paddedCall(loadOrStop));
  if (loads !== SEGMENT_LOADS) throw mismatch(`its task switch loads ${loads} segments, not ${SEGMENT_LOADS}`);
  const refused = addTaskCheck(functions, checks);
  const original = functions.appendCopy(task);
  functions.replaceBody(
    task,
    bodyOf([
      // Its fourth parameter says by which instruction.
      ...storeWord(AddedOffset.taskSwitch, local(3)),
      ...when([...local(0), ...local(3), ...call(refused)], [RETURN]),
      ...storeWord(AddedOffset.switching, constant(1)),
      ...storeByte(CoreOffset.cpl, constant(0)),
      ...[0, 1, 2, 3].flatMap(local),
      ...call(original),
      ...storeWord(AddedOffset.switching, constant(0)),
    ]),
  );
}

/** A function of the selector and the cause: whether an exception was raised. */
function addTaskCheck(functions: WasmFunctions, checks: SegmentChecks): number {
  const [selector, cause] = [local(0), local(1)];
  const isReturn = [...cause, ...constant(TaskSwitch.IRET), EQUAL];
  const wrong = checks.refuse(select(isReturn, constant(INVALID_TSS), constant(GENERAL_PROTECTION)), selector);
  const invalid = checks.refuse(constant(INVALID_TSS), selector);
  const type = [...access, ...constant(TYPE), AND];
  const newBase = loadWord(AddedOffset.taskBase);
  const oldBase = base(SystemSegmentIndex.TASK);
  const oldSelector = loadHalf(CoreOffset.segmentSelectors + 2 * SystemSegmentIndex.TASK);
  const distance = [...newBase, ...oldBase, SUBTRACT, ...constant(Tss.BYTES - 1), ADD];
  const descriptor = loadWord(AddedOffset.foundAddress);
  return functions.append(2, 1, [
    ...when([...selector, ...constant(4), AND], wrong),
    // GDT only, so no local table is in use yet.
    ...checks.find(selector, wrong),
    ...when([...type, ...constant(~BUSY), AND, ...constant(TASK_16), EQUAL], invalid),
    ...when([...type, ...constant(~BUSY), AND, ...constant(TASK_32), NOT_EQUAL], wrong),
    ...when([...access, ...constant(BUSY), AND, IS_ZERO, ...isReturn, NOT_EQUAL, IS_ZERO], wrong),
    ...when(isAbsent, checks.refuse(constant(NOT_PRESENT), selector)),
    ...storeDescriptor(checks),
    ...when([...loadWord(AddedOffset.taskLimit), ...constant(Tss.BYTES - 1), BELOW], invalid),
    // The old task is saved before the new one is read: no byte may be of both.
    ...when([...distance, ...constant(2 * Tss.BYTES - 1), BELOW], invalid),
    ...checks.unlessWritable(descriptor, 8),
    ...when(
      [...cause, ...constant(TaskSwitch.CALL_OR_INTERRUPT), NOT_EQUAL],
      [
        ...checks.find(oldSelector, checks.refuse(constant(INVALID_TSS), oldSelector)),
        ...checks.unlessWritable(descriptor, 8),
      ],
    ),
    ...checks.unlessWritable(oldBase, Tss.BYTES),
    ...checks.unlessReadable(newBase),
    ...checks.unlessReadable([...newBase, ...constant(Tss.BYTES - 1), ADD]),
    ...when([...cause, ...constant(TaskSwitch.CALL_OR_INTERRUPT), EQUAL], checks.unlessWritable(newBase, 2)),
    ...call(addSegmentsCheck(functions, checks)),
  ]);
}

/** The base and limit of the descriptor found last become the words taskBase and taskLimit. */
function storeDescriptor(checks: SegmentChecks): Code {
  const byte = (at: number, shift: number): Code => [
    ...checks.byte([...loadWord(AddedOffset.foundAddress), ...constant(at), ADD]),
    ...[...constant(shift), SHIFT_LEFT],
  ];
  const flags = byte(6, 0);
  const pages = [...byte(0, 12), ...byte(1, 20), OR, ...flags, ...constant(15), AND, ...constant(28), SHIFT_LEFT, OR];
  const bytes = [...byte(0, 0), ...byte(1, 8), OR, ...flags, ...constant(15), AND, ...constant(16), SHIFT_LEFT, OR];
  return [
    ...storeWord(AddedOffset.taskBase, [...byte(2, 0), ...byte(3, 8), OR, ...byte(4, 16), OR, ...byte(7, 24), OR]),
    ...storeWord(
      AddedOffset.taskLimit,
      select([...flags, ...constant(0x80), AND], [...pages, ...constant(0xfff), OR], bytes),
    ),
  ];
}

/** A function: whether the LDT or a segment of the new task was refused. */
function addSegmentsCheck(functions: WasmFunctions, checks: SegmentChecks): number {
  // Local 0 holds the base of the TSS, local 1 the selector under test.
  const [tss, selector] = [local(0), local(1)];
  const field = (at: number): Code => [...checks.half([...tss, ...constant(at), ADD])];
  const invalid = checks.refuse(constant(INVALID_TSS), selector);
  const noTable = useLocalTable(constant(0), constant(0));
  const localTable = functions.append(2, 1, [
    ...noTable,
    ...when([...selector, ...constant(0xfffc), AND, IS_ZERO], FINE),
    ...when([...selector, ...constant(4), AND], invalid),
    ...checks.find(selector, invalid),
    ...when([...has(TYPE | Access.PRESENT, LOCAL_TABLE), IS_ZERO], invalid),
    ...storeDescriptor(checks),
    ...useLocalTable(loadWord(AddedOffset.taskBase), loadWord(AddedOffset.taskLimit)),
    ...constant(0),
  ]);
  const code = functions.append(2, 1, [
    ...checks.find(selector, invalid),
    ...when(isBadCode(selector), invalid),
    ...when(isAbsent, checks.refuse(constant(NOT_PRESENT), selector)),
    ...constant(0),
  ]);
  const newLevel = requested(field(Tss.CS));
  const all = functions.append(1, 1, [
    ...when([...tss, ...field(Tss.LDT), ...call(localTable)], RAISED),
    // The segments of virtual-8086 mode have no descriptors.
    ...when([...field(Tss.FLAGS + 2), ...constant(VM), AND], FINE),
    ...when([...tss, ...field(Tss.CS), ...call(code)], RAISED),
    ...when(checks.stack(field(Tss.SS), newLevel, INVALID_TSS), RAISED),
    ...[Tss.ES, Tss.DS, Tss.FS, Tss.GS].flatMap((at) => when(checks.data(field(at), newLevel), RAISED)),
    ...constant(0),
  ]);
  return functions.append(0, 1, [...loadWord(AddedOffset.taskBase), ...call(all)]);
}
