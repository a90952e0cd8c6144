/**
 * Edits of the core's functions that make each failed delivery and each panic an exception of the
 * guest, which exception-delivery.ts then raises.
 *
 * - `call_interrupt_vector` delivers an exception or interrupt. Where that fails, the core starts
 *   with the next exception inside of the first delivery, without double and triple faults, until
 *   its stack is full. Edited, it saves the CPU's state, notes what it delivers, and stops with a
 *   WebAssembly trap if another exception occurs before it is done. It is exported, too.
 * - `panic_fmt` begins each panic. Where the core lacks an exception (#GP after IRET to a null
 *   selector, for example) it panics. Edited, it notes the place and stops with a trap. The core's
 *   own message would take memory that is never freed, and a guest can panic the core at will.
 * - `lookup_segment_selector` reads a descriptor. Edited, it notes the selector, which is the error
 *   code of such an exception.
 * - An instruction takes at most 15 bytes. The core has no limit, and its functions for prefixes
 *   call each other until its stack is full. Edited, they raise #GP(0) at the 16th byte.
 *
 * Called by: wasm-edit.ts. Each edit throws CORE_MISMATCH if the module is not as expected.
 */

import type { UpcallError } from '../../io-request/upcall-error.js';
import { AddedOffset, CoreOffset, NO_SELECTOR, NO_VECTOR, SAVED_STATE } from './core-layout.js';
import {
  AND,
  AT_LEAST,
  BELOW,
  bodyOf,
  call,
  constant,
  copyMemory,
  loadWord,
  local,
  LOCAL_GET,
  RETURN,
  storeWord,
  SUBTRACT,
  UNREACHABLE,
  when,
} from './wasm-code.js';
import type { WasmFunctions } from './wasm-functions.js';

/**
 * The export of `call_interrupt_vector`: vector, whether by INT n, whether with an error code,
 * error code.
 */
export const DELIVER_EXPORT = 'upcall_deliver';

/** In a pattern: any byte. */
const ANY = undefined;
const MOST_BYTES = 15;
const PREFIX_FUNCTIONS = ['run_prefix_instruction', 'segment_prefix_op'] as const;

/** The functions that look up descriptors before they may panic, and in how many places each. */
const LOOKUPS: readonly (readonly [string, number])[] = [
  ['lookup_segment_selector', 1],
  ['call_interrupt_vector', 1],
  ['do_task_switch', 2],
  ['far_jump', 1],
  ['load_tr', 1],
  ['load_ldt', 1],
];

export function editExceptions(functions: WasmFunctions, mismatch: (what: string) => UpcallError): void {
  noteSelectors(functions, mismatch);
  editDelivery(functions);
  functions.replaceBody(
    functions.index('panic_fmt'),
    // Its third parameter is the place, a structure in the core's constant data.
    bodyOf([...storeWord(AddedOffset.panicPosition, local(2)), UNREACHABLE]),
  );
  const isTooLong = [
    ...loadWord(CoreOffset.instructionPointer),
    ...loadWord(CoreOffset.previousInstructionPointer),
    SUBTRACT,
    ...constant(MOST_BYTES),
    AT_LEAST,
  ];
  const refuse = [...constant(0), ...call(functions.index('trigger_gp')), RETURN];
  for (const name of PREFIX_FUNCTIONS) functions.insertAtStart(functions.index(name), when(isTooLong, refuse));
}

/**
 * The compiler has put copies of `lookup_segment_selector` into some of its callers. Each copy
 * begins with a test for a null selector, before which the selector is stored.
 */
function noteSelectors(functions: WasmFunctions, mismatch: (what: string) => UpcallError): void {
  const isNull = [LOCAL_GET, ANY, ...constant(0xffff), AND, ...constant(4), BELOW];
  for (const [name, copies] of LOOKUPS) {
    const found = functions.replaceEach(functions.index(name), isNull, (test) => [
      ...storeWord(AddedOffset.selector, [...test.subarray(0, 2)]),
      ...test,
    ]);
    if (found !== copies) throw mismatch(`${name} looks up ${found} descriptors, not ${copies}`);
  }
}

/** Callers of the delivery call the edited function. It calls a copy of the original. */
function editDelivery(functions: WasmFunctions): void {
  const deliver = functions.index('call_interrupt_vector');
  const original = functions.appendCopy(deliver);
  const [vector, isSoftware, hasErrorCode, errorCode] = [local(0), local(1), local(2), local(3)] as const;
  functions.replaceBody(
    deliver,
    bodyOf([
      ...when(loadWord(AddedOffset.delivering), [
        ...storeWord(AddedOffset.nestedVector, vector),
        ...storeWord(AddedOffset.nestedErrorCode, errorCode),
        UNREACHABLE,
      ]),
      ...storeWord(AddedOffset.delivering, constant(1)),
      ...storeWord(AddedOffset.vector, vector),
      ...storeWord(AddedOffset.isSoftware, isSoftware),
      ...storeWord(AddedOffset.hasErrorCode, hasErrorCode),
      ...storeWord(AddedOffset.nestedVector, constant(NO_VECTOR)),
      ...storeWord(AddedOffset.selector, constant(NO_SELECTOR)),
      ...copyMemory(AddedOffset.savedState, SAVED_STATE.start, SAVED_STATE.end - SAVED_STATE.start),
      ...vector,
      ...isSoftware,
      ...hasErrorCode,
      ...errorCode,
      ...call(original),
      ...storeWord(AddedOffset.delivering, constant(0)),
    ]),
  );
  functions.exportAs(DELIVER_EXPORT, deliver);
}
