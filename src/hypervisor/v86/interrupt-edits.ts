/**
 * The edits that take the interrupt controllers of v86.wasm out of its CPU, all in memory at load
 * time like those of wasm-edit.ts. The controllers are upcall's own (interrupt-controllers/),
 * because the core's leave out polarity, most of the local vector table, NMIs, polling and more.
 *
 * - The addresses of the two APICs trap like any other address. The core compares an address, its
 *   low bits masked, with the APIC's at a hundred places; one bit more in the constant, and none is
 *   ever equal.
 * - The ports of the 8259s trap like any other port: the core's two functions for 8-bit accesses
 *   become plain calls of the imports.
 * - Where the core asked its 8259s for an interrupt, which it does only while EFLAGS.IF is set, it
 *   asks the host: if the byte CoreOffset.interruptRequested is set, it calls the import
 *   `io_port_read32` with the number ACKNOWLEDGE, which is no port.
 * - An IRET while the byte CoreOffset.nmiBlocked is set, and a WRMSR to IA32_APIC_BASE, call
 *   `io_port_write32` with the numbers NMI_UNBLOCKED and APIC_BASE.
 * - CPUID and RDMSR report the local APIC by CoreOffset.apicEnabled: as enabled or not, and always
 *   as that of the bootstrap processor.
 * - The function that enters an interrupt's handler is exported, for NMIs.
 *
 * Each edit throws CORE_MISMATCH if the module is not as expected.
 */

import { CoreOffset } from './core-layout.js';
import { mismatch, section } from './wasm-edit.js';
import {
  encodeU32,
  ExternalKind,
  exportsOf,
  functionBody,
  importsOf,
  replaceBody,
  replaceInSection,
  SectionId,
  WasmReader,
  type ImportEntry,
} from './wasm-sections.js';

/** Numbers above all ports, by which the core's port imports are asked for something else. */
export const HostCall = { ACKNOWLEDGE: 0x1_0000, NMI_UNBLOCKED: 0x1_0001, APIC_BASE: 0x1_0002 } as const;
/** Set in the answer to ACKNOWLEDGE if there is an interrupt. Its vector is the second byte. */
export const HAS_VECTOR = 1;
/** The export of the core's function that enters the handler of a vector. */
export const ENTER_VECTOR_EXPORT = 'upcall_enter_vector';

const Op = {
  NOP: 0x01,
  IF: 0x04,
  END: 0x0b,
  CALL: 0x10,
  LOCAL_GET: 0x20,
  LOAD_BYTE: 0x2d,
  STORE_BYTE: 0x3a,
  STORE_HALF: 0x3b,
  CONST: 0x41,
  EQUAL: 0x46,
} as const;
const NO_RESULT = 0x40;
const NO_LOCALS = 0;
const UNALIGNED = 0;

/** `i32.const` of the APICs' addresses, and the comparison that follows. */
const LOCAL_APIC_COMPARED = [Op.CONST, 0x80, 0x80, 0x80, 0x77, Op.EQUAL];
const IO_APIC_COMPARED = [Op.CONST, 0x80, 0x80, 0x80, 0x76, Op.EQUAL];
/** Added to the first byte of the constant: bit 0, which the compared address never has. */
const NEVER_EQUAL = 1;

/** How the two functions for 8-bit port accesses begin to search their table: port − 0x20. */
const SEARCHES_PORT = [Op.LOCAL_GET, 0, Op.CONST, 0x60, 0x6a, 0x0e];

/** WRMSR: bit 11 of local 0, EAX, becomes the byte `apicEnabled`. */
const STORES_ENABLED = [
  ...[Op.CONST, 0, Op.LOCAL_GET, 0, Op.CONST, 11, 0x76, Op.CONST, 1, 0x71],
  ...[Op.STORE_BYTE, UNALIGNED, ...encodeU32(CoreOffset.apicEnabled)],
];
/** RDMSR: 0xfee00800 or 0xfee00000. Bit 8, "bootstrap processor", is missing in both. */
const APIC_BASE_VALUES = [Op.CONST, 0x80, 0x90, 0x80, 0x77, Op.CONST, 0x80, 0x80, 0x80, 0x77];
const APIC_BASE_OF_BOOTSTRAP = [Op.CONST, 0x80, 0x92, 0x80, 0x77, Op.CONST, 0x80, 0x82, 0x80, 0x77];
/** CPUID's test for the APIC's feature bit, before and after. */
const TESTS_ACPI = [Op.LOAD_BYTE, UNALIGNED, ...encodeU32(CoreOffset.acpiEnabled)];
const TESTS_APIC = [Op.LOAD_BYTE, UNALIGNED, ...encodeU32(CoreOffset.apicEnabled)];

export function editInterrupts(original: Uint8Array): Uint8Array<ArrayBuffer> {
  let bytes = trapApicAddresses(original);
  bytes = replaceInFunction(bytes, exported(bytes, 'instr_0FA2'), TESTS_ACPI, TESTS_APIC, 'CPUID');
  bytes = replaceInFunction(bytes, exported(bytes, 'instr_0F32'), APIC_BASE_VALUES, APIC_BASE_OF_BOOTSTRAP, 'RDMSR');
  bytes = replaceInFunction(bytes, exported(bytes, 'instr_0F30'), STORES_ENABLED, callsWrmsr(bytes), 'WRMSR');
  bytes = trapPorts(bytes);
  bytes = unblockAtIret(bytes);
  return askHost(bytes);
}

/** The comparisons with both APICs' addresses, wherever the compiler put them. */
function trapApicAddresses(original: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(original);
  const { content, end } = section(bytes, SectionId.CODE, 'code');
  const found = [LOCAL_APIC_COMPARED, IO_APIC_COMPARED].map((pattern) => occurrences(bytes, pattern, content, end));
  const [local, io] = found.map(({ length }) => length);
  if (local === 0 || local !== io)
    throw mismatch(`it compares ${local} times with the local APIC, ${io} with the other`);
  for (const at of found.flat()) bytes[at + 1] = (bytes[at + 1] as number) + NEVER_EQUAL;
  return bytes;
}

/** Whatever the port, a call of the import. */
function trapPorts(original: Uint8Array): Uint8Array<ArrayBuffer> {
  const functions = functionsWith(original, SEARCHES_PORT);
  let bytes = new Uint8Array(original);
  if (functions.length !== 2) throw mismatch(`${functions.length} functions search a table of ports, not 2`);
  for (const index of functions) {
    const isRead = calls(bytes, index).includes(imported(bytes, 'io_port_read8'));
    const isWrite = calls(bytes, index).includes(imported(bytes, 'io_port_write8'));
    if (isRead === isWrite) throw mismatch('a function for ports neither reads nor writes');
    const operands = isRead ? [Op.LOCAL_GET, 0] : [Op.LOCAL_GET, 0, Op.LOCAL_GET, 1];
    const target = imported(bytes, isRead ? 'io_port_read8' : 'io_port_write8');
    bytes = replaceFunction(bytes, index, [NO_LOCALS, ...operands, Op.CALL, ...encodeU32(target), Op.END]);
  }
  return bytes;
}

/** A WRMSR to IA32_APIC_BASE: the host gets EAX and sets the byte itself. */
function callsWrmsr(bytes: Uint8Array): number[] {
  const call = [...constant(HostCall.APIC_BASE), Op.LOCAL_GET, 0, ...call32(bytes)];
  return [...call, ...Array.from({ length: STORES_ENABLED.length - call.length }, () => Op.NOP)];
}

/** The function that both forms of IRET call begins with the host's call. */
function unblockAtIret(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const [iret] = calls(bytes, exported(bytes, 'instr32_CF'));
  if (iret === undefined || calls(bytes, exported(bytes, 'instr16_CF'))[0] !== iret)
    throw mismatch('it has no function for IRET');
  const [start, end] = bodyOf(bytes, iret);
  const reader = new WasmReader(bytes, start);
  for (let groups = reader.u32(); groups > 0; groups--) {
    reader.u32();
    reader.byte();
  }
  const call = [...constant(HostCall.NMI_UNBLOCKED), ...constant(0), ...call32(bytes)];
  return replaceFunction(bytes, iret, [
    ...bytes.subarray(start, reader.offset),
    ...loadsByte(CoreOffset.nmiBlocked),
    ...[Op.IF, NO_RESULT, ...call, Op.END],
    ...bytes.subarray(reader.offset, end),
  ]);
}

/**
 * `handle_irqs` calls four functions: for an interrupt of the 8259s, for one of the local APIC, for
 * the end of a halt, and to enter the handler. The first gets the address of two bytes for its
 * answer. The core's own local APIC never has an interrupt.
 */
function askHost(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const [acknowledge, , , enterVector, ...more] = calls(bytes, exported(bytes, 'handle_irqs'));
  if (acknowledge === undefined || enterVector === undefined || more.length > 0)
    throw mismatch('handle_irqs does not call four functions');
  const ask = [...constant(HostCall.ACKNOWLEDGE), Op.CALL, ...encodeU32(imported(bytes, 'io_port_read32'))];
  const edited = replaceFunction(bytes, acknowledge, [
    NO_LOCALS,
    ...[Op.LOCAL_GET, 0, ...constant(0), Op.STORE_HALF, UNALIGNED, 0],
    ...loadsByte(CoreOffset.interruptRequested),
    ...[Op.IF, NO_RESULT, Op.LOCAL_GET, 0, ...ask, Op.STORE_HALF, UNALIGNED, 0, Op.END],
    Op.END,
  ]);
  return exportFunction(edited, ENTER_VECTOR_EXPORT, enterVector);
}

function exportFunction(bytes: Uint8Array, name: string, index: number): Uint8Array<ArrayBuffer> {
  const exports = section(bytes, SectionId.EXPORT, 'export');
  const reader = new WasmReader(bytes, exports.content);
  const count = reader.u32();
  const letters = Array.from(name, (character) => character.charCodeAt(0));
  const entry = [letters.length, ...letters, ExternalKind.FUNCTION, ...encodeU32(index)];
  return replaceInSection(bytes, exports, exports.content, reader.offset, [...encodeU32(count + 1), ...entry]);
}

function constant(value: number): number[] {
  const bytes = encodeU32(value);
  // The encoding is signed: bit 6 of the last byte would be its sign.
  const last = bytes.length - 1;
  if (((bytes[last] as number) & 0x40) === 0) return [Op.CONST, ...bytes];
  return [Op.CONST, ...bytes.slice(0, last), (bytes[last] as number) | 0x80, 0];
}

function loadsByte(address: number): number[] {
  return [...constant(0), Op.LOAD_BYTE, UNALIGNED, ...encodeU32(address)];
}

/** A call of `io_port_write32`, whose two operands are on the stack. */
function call32(bytes: Uint8Array): number[] {
  return [Op.CALL, ...encodeU32(imported(bytes, 'io_port_write32'))];
}

/** Replaces the one occurrence of `pattern` in a function by as many bytes. */
function replaceInFunction(
  original: Uint8Array,
  index: number,
  pattern: readonly number[],
  replacement: readonly number[],
  what: string,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(original);
  const [start, end] = bodyOf(bytes, index);
  const [at, ...more] = occurrences(bytes, pattern, start, end);
  if (at === undefined || more.length > 0 || pattern.length !== replacement.length)
    throw mismatch(`${what} is not as expected`);
  bytes.set(replacement, at);
  return bytes;
}

function occurrences(bytes: Uint8Array, pattern: readonly number[], start: number, end: number): number[] {
  const found: number[] = [];
  const first = pattern[0] as number;
  for (let at = bytes.indexOf(first, start); at >= 0 && at + pattern.length <= end; at = bytes.indexOf(first, at + 1))
    if (pattern.every((byte, i) => bytes[at + i] === byte)) found.push(at);
  return found;
}

/** The functions whose bodies contain `pattern`. */
function functionsWith(bytes: Uint8Array, pattern: readonly number[]): number[] {
  const { content, end } = section(bytes, SectionId.CODE, 'code');
  const places = occurrences(bytes, pattern, content, end);
  const imports = importCount(bytes);
  const reader = new WasmReader(bytes, content);
  const found: number[] = [];
  for (let index = 0, count = reader.u32(); index < count; index++) {
    const length = reader.u32();
    const start = reader.offset;
    if (places.some((at) => at >= start && at < start + length)) found.push(imports + index);
    reader.offset = start + length;
  }
  return found;
}

/** The functions that function `index` calls, in the order of the calls. */
function calls(bytes: Uint8Array, index: number): number[] {
  const [start, end] = bodyOf(bytes, index);
  const found: number[] = [];
  for (let at = bytes.indexOf(Op.CALL, start); at >= 0 && at < end; at = bytes.indexOf(Op.CALL, at + 1)) {
    // The linker pads the index to five bytes, which makes a call unmistakable.
    const isPadded = [1, 2, 3, 4].every((i) => (bytes[at + i] as number) >= 0x80) && bytes[at + 5] === 0;
    if (isPadded) found.push(new WasmReader(bytes, at + 1).u32());
  }
  return found;
}

function bodyOf(bytes: Uint8Array, index: number): readonly [number, number] {
  const body = functionBody(bytes, section(bytes, SectionId.CODE, 'code'), index - importCount(bytes));
  if (body === undefined) throw mismatch(`it has no function ${index}`);
  return body;
}

/** Functions are numbered through the module, the imported ones first. */
function replaceFunction(bytes: Uint8Array, index: number, body: readonly number[]): Uint8Array<ArrayBuffer> {
  return replaceBody(bytes, index - importCount(bytes), body);
}

function imported(bytes: Uint8Array, name: string): number {
  const index = importedFunctions(bytes).findIndex((entry) => entry.name === name);
  if (index < 0) throw mismatch(`it does not import ${name}`);
  return index;
}

function importCount(bytes: Uint8Array): number {
  return importedFunctions(bytes).length;
}

function importedFunctions(bytes: Uint8Array): ImportEntry[] {
  const entries = importsOf(bytes, section(bytes, SectionId.IMPORT, 'import'));
  return entries.filter(({ kind }) => kind === ExternalKind.FUNCTION);
}

function exported(bytes: Uint8Array, name: string): number {
  const found = exportsOf(bytes, section(bytes, SectionId.EXPORT, 'export')).find((entry) => entry.name === name);
  if (found === undefined) throw mismatch(`it does not export ${name}`);
  return found.index;
}
