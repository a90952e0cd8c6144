/**
 * The edits that make v86.wasm a vCPU of ours, all in memory at load time. The installed package is
 * never changed.
 *
 * - A 16-bit load from MMIO space becomes one request. The core makes two 8-bit calls of it. In its
 *   function `read16` the first call of `mmap_read8` becomes one of `io_port_read16`, which
 *   distinguishes a port from an address by its size.
 * - A 64-bit load from MMIO space keeps its upper half. The core makes two 32-bit calls of it and
 *   extends the sign of the lower half over the upper one. One byte of its function for 64-bit
 *   loads is changed.
 * - The core's memory, with the guest's RAM in it, becomes shared, so that devices in other threads
 *   can access it. The modules that the core's JIT compiler makes import that shared memory.
 * - The stack pointer is exported, so that a reset can undo frames that an exception skipped.
 * - A guest's mistake is an exception of the guest, never the end of the core (exception-edits.ts).
 * - Control registers and CS take only what a CPU accepts (control-edits.ts).
 * - A far return and a task switch check what they load before they change anything
 *   (transfer-edits.ts).
 * - An instruction fetch outside of RAM reads what a load reads there (fetch-edits.ts).
 * - PAE paging has large pages whatever CR4.PSE says (paging-edits.ts).
 * - The interrupt controllers are the hypervisor's (interrupt-edits.ts).
 *
 * Each edit throws CORE_MISMATCH if the module is not as expected.
 *
 * Called by: core-image.ts (`editCore`), once in each process; translations.ts
 * (`shareImportedMemory`), for each translation.
 */

import { UpcallError } from '../../io-request/upcall-error.js';
import { editExceptions } from './exception-edits.js';
import { editControl } from './control-edits.js';
import { editFetches } from './fetch-edits.js';
import { editInterrupts } from './interrupt-edits.js';
import { editPaging } from './paging-edits.js';
import { editTransfers } from './transfer-edits.js';
import { WasmFunctions } from './wasm-functions.js';
import {
  encodeU32,
  ExternalKind,
  exportsOf,
  findPattern,
  findSection,
  functionBody,
  importsOf,
  replaceInSection,
  SectionId,
  WasmReader,
  type ImportEntry,
  type Section,
} from './wasm-sections.js';

/** 64-KiB pages that a 32-bit memory has at most. */
export const MAX_MEMORY_PAGES = 65536;
/** The export that `exportStackPointer` adds. */
export const STACK_POINTER_EXPORT = 'upcall_stack_pointer';

/** Flags of a memory's limits. */
const SHARED_WITH_MAXIMUM = 3;
const CALL = 0x10;
const I32 = 0x7f;
const MUTABLE = 1;
/**
 * The linker's padding of a one-byte function index to five bytes, after the first with its
 * continuation bit.
 */
const PADDING = [0x80, 0x80, 0x80, 0x00] as const;

const I64_EXTEND_I32_S = 0xac;
const I64_EXTEND_I32_U = 0xad;
/**
 * Local 1, the lower half, widened into local 2; four blocks begin; local 0, the address, plus 4.
 */
const WIDENS_LOWER_HALF = [
  ...[0x20, 1, I64_EXTEND_I32_S, 0x21, 2],
  ...[0x02, 0x40, 0x02, 0x40, 0x02, 0x40, 0x02, 0x40],
  ...[0x20, 0, 0x41, 4, 0x6a],
];
/** The place in it of the byte that is changed. It is also the rarest, for a quick search. */
const EXTEND_AT = WIDENS_LOWER_HALF.indexOf(I64_EXTEND_I32_S);

export const MISMATCH_REMEDY = 'Install v86@0.5.462 exactly (npm ci), the version that upcall was made for';

export function mismatch(what: string): UpcallError {
  return new UpcallError('CORE_MISMATCH', `v86.wasm is not the core that upcall expects: ${what}`, {
    remedy: MISMATCH_REMEDY,
  });
}

/** All edits of the core's module. */
export function editCore(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return editFunctions(exportStackPointer(shareMemory(patchRead64(patchRead16(bytes)))));
}

/** The edits that name the functions which they change. */
function editFunctions(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const functions = new WasmFunctions(bytes, mismatch);
  editControl(functions, mismatch);
  editExceptions(functions, mismatch);
  editTransfers(functions, mismatch);
  editFetches(functions, mismatch);
  editPaging(functions, mismatch);
  editInterrupts(functions, mismatch);
  return functions.toBytes();
}

export function section(bytes: Uint8Array, id: number, name: string): Section {
  const found = findSection(bytes, id);
  if (found === undefined) throw mismatch(`it has no ${name} section`);
  return found;
}

/** One byte: the first of the two calls in `read16`. */
export function patchRead16(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const functions = importsOf(bytes, section(bytes, SectionId.IMPORT, 'import')).filter(isFunction);
  const from = functions.findIndex(({ name }) => name === 'mmap_read8');
  const to = functions.findIndex(({ name }) => name === 'io_port_read16');
  const read16 = exportsOf(bytes, section(bytes, SectionId.EXPORT, 'export')).find(({ name }) => name === 'read16');
  const body =
    read16 === undefined
      ? undefined
      : functionBody(bytes, section(bytes, SectionId.CODE, 'code'), read16.index - functions.length);
  // Both indices must fit the one byte before the padding.
  if (body === undefined || from < 0 || to < 0 || from > 0x7f || to > 0x7f) throw mismatch('no function read16');
  const pattern = [CALL, from | 0x80, ...PADDING];
  const calls: number[] = [];
  const find = (from: number): number => findPattern(bytes, pattern, from, body[1]);
  for (let at = find(body[0]); at >= 0; at = find(at + 1)) calls.push(at);
  const [first] = calls;
  if (first === undefined || calls.length !== 2)
    throw mismatch(`read16 calls mmap_read8 ${calls.length} times, not twice`);
  const patched = new Uint8Array(bytes);
  patched[first + 1] = to | 0x80;
  return patched;
}

/** One byte: how the core's function for 64-bit loads widens the lower half. */
export function patchRead64(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { content, end } = section(bytes, SectionId.CODE, 'code');
  const code = bytes.subarray(content, end);
  const found: number[] = [];
  for (let at = code.indexOf(I64_EXTEND_I32_S); at >= 0; at = code.indexOf(I64_EXTEND_I32_S, at + 1))
    if (WIDENS_LOWER_HALF.every((byte, i) => code[at - EXTEND_AT + i] === byte)) found.push(content + at);
  const [extension] = found;
  if (extension === undefined || found.length !== 1) throw mismatch('no function for 64-bit loads');
  const patched = new Uint8Array(bytes);
  patched[extension] = I64_EXTEND_I32_U;
  return patched;
}

/** The module's own memory: shared, same minimum, the greatest maximum. */
export function shareMemory(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const memory = section(bytes, SectionId.MEMORY, 'memory');
  const reader = new WasmReader(bytes, memory.content);
  const count = reader.u32();
  const start = reader.offset;
  const { flags, min } = reader.limits();
  if (count !== 1 || flags !== 0 || reader.offset !== memory.end)
    throw mismatch('its memory is not a single one without maximum');
  return replaceInSection(bytes, memory, start, memory.end, sharedLimits(min));
}

/** In a module of LLVM's linker, global 0 is the stack pointer. */
export function exportStackPointer(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const globals = new WasmReader(bytes, section(bytes, SectionId.GLOBAL, 'global').content);
  if (globals.u32() !== 1 || globals.byte() !== I32 || globals.byte() !== MUTABLE)
    throw mismatch('its only global is not the stack pointer');
  const exports = section(bytes, SectionId.EXPORT, 'export');
  const reader = new WasmReader(bytes, exports.content);
  const count = reader.u32();
  const name = Array.from(STACK_POINTER_EXPORT, (character) => character.charCodeAt(0));
  const added = [...encodeU32(count + 1), name.length, ...name, ExternalKind.GLOBAL, 0];
  return replaceInSection(bytes, exports, exports.content, reader.offset, added);
}

/**
 * A module of the JIT compiler, its memory import with the limits of `shareMemory`. Called for each
 * translation, so it reads no further than it must.
 */
export function shareImportedMemory(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const imports = section(bytes, SectionId.IMPORT, 'import');
  const memory = importsOf(bytes, imports).find(({ kind }) => kind === ExternalKind.MEMORY);
  if (memory === undefined) throw mismatch('a translation imports no memory');
  const { flags, min } = new WasmReader(bytes, memory.description).limits();
  if (flags !== 0) throw mismatch('a translation imports a memory with a maximum');
  return replaceInSection(bytes, imports, memory.description, memory.end, sharedLimits(min));
}

function sharedLimits(min: number): number[] {
  return [SHARED_WITH_MAXIMUM, ...encodeU32(min), ...encodeU32(MAX_MEMORY_PAGES)];
}

function isFunction({ kind }: ImportEntry): boolean {
  return kind === ExternalKind.FUNCTION;
}
