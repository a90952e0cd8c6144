/**
 * The edits that take the interrupt controllers of v86.wasm out of its CPU, all in memory at load
 * time like those of wasm-edit.ts. The controllers are upcall's own (interrupt-controllers/),
 * because the core's leave out polarity, most of the local vector table, NMIs, polling and more.
 *
 * - The addresses of the two APICs trap like any other address. The core compares an address, its
 *   low bits masked, with the APIC's at many places; one bit more in the constant, and none is
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
 * Called by: wasm-edit.ts. Each edit throws CORE_MISMATCH if the module is not as expected.
 */

import type { UpcallError } from '../../io-request/upcall-error.js';
import {
  ADD,
  AND,
  bodyOf,
  CALL,
  call,
  constant,
  EQUAL,
  LOAD_BYTE_UNSIGNED,
  loadByte,
  local,
  NOP,
  SHIFT_RIGHT,
  STORE_BYTE,
  STORE_HALF,
  when,
} from './wasm-code.js';
import { CoreOffset } from './core-layout.js';
import type { WasmFunctions } from './wasm-functions.js';
import { encodeU32, WasmReader } from './wasm-sections.js';

/** Numbers above all ports, by which the core's port imports are asked for something else. */
export const HostCall = { ACKNOWLEDGE: 0x1_0000, NMI_UNBLOCKED: 0x1_0001, APIC_BASE: 0x1_0002 } as const;
/** Set in the answer to ACKNOWLEDGE if there is an interrupt. Its vector is the second byte. */
export const HAS_VECTOR = 1;
/** The export of the core's function that enters the handler of a vector. */
export const ENTER_VECTOR_EXPORT = 'upcall_enter_vector';

/** The alignment that a load or store promises: none. */
const UNALIGNED = 0;
/** WebAssembly's br_table. */
const BRANCH_TABLE = 0x0e;

/** `i32.const` of the APICs' addresses, and the comparison that follows. */
const LOCAL_APIC_COMPARED = [...constant(0xfee0_0000), EQUAL];
const IO_APIC_COMPARED = [...constant(0xfec0_0000), EQUAL];
/** Added to the first byte of the constant: bit 0, which the compared address never has. */
const NEVER_EQUAL = 1;

/** How the two functions for 8-bit port accesses begin to search their table: port − 0x20. */
const SEARCHES_PORT = [...local(0), ...constant(-0x20), ADD, BRANCH_TABLE];

/** WRMSR: bit 11 of local 0, EAX, becomes the byte `apicEnabled`. */
const STORES_ENABLED = [
  ...[...constant(0), ...local(0), ...constant(11), SHIFT_RIGHT, ...constant(1), AND],
  ...[STORE_BYTE, UNALIGNED, ...encodeU32(CoreOffset.apicEnabled)],
];
/** RDMSR's answers, enabled or not. Bit 8, "bootstrap processor", is missing in both. */
const APIC_BASE_VALUES = [...constant(0xfee0_0800), ...constant(0xfee0_0000)];
const APIC_BASE_OF_BOOTSTRAP = [...constant(0xfee0_0900), ...constant(0xfee0_0100)];
/** CPUID's test for the APIC's feature bit, before and after the edit. */
const TESTS_ACPI = [LOAD_BYTE_UNSIGNED, UNALIGNED, ...encodeU32(CoreOffset.acpiEnabled)];
const TESTS_APIC = [LOAD_BYTE_UNSIGNED, UNALIGNED, ...encodeU32(CoreOffset.apicEnabled)];

type Mismatch = (what: string) => UpcallError;

export function editInterrupts(functions: WasmFunctions, mismatch: Mismatch): void {
  trapApicAddresses(functions, mismatch);
  const replaceIn = (name: string, what: string, pattern: readonly number[], replacement: readonly number[]): void => {
    const found = functions.replaceEach(functions.index(name), pattern, () => replacement);
    if (found !== 1) throw mismatch(`${what} is not as expected`);
  };
  replaceIn('instr_0FA2', 'CPUID', TESTS_ACPI, TESTS_APIC);
  replaceIn('instr_0F32', 'RDMSR', APIC_BASE_VALUES, APIC_BASE_OF_BOOTSTRAP);
  replaceIn('instr_0F30', 'WRMSR', STORES_ENABLED, callsWrmsr(functions));
  trapPorts(functions, mismatch);
  unblockAtIret(functions, mismatch);
  askHost(functions, mismatch);
}

/** The comparisons with both APICs' addresses, wherever the compiler put them. */
function trapApicAddresses(functions: WasmFunctions, mismatch: Mismatch): void {
  const neverEqual = (found: Uint8Array): number[] => [
    found[0] as number,
    (found[1] as number) + NEVER_EQUAL,
    ...found.subarray(2),
  ];
  const [local, io] = [LOCAL_APIC_COMPARED, IO_APIC_COMPARED].map((pattern) =>
    functions.indices.reduce((count, index) => count + functions.replaceEach(index, pattern, neverEqual), 0),
  );
  if (local === 0 || local !== io)
    throw mismatch(`it compares ${local} times with the local APIC, ${io} with the other`);
}

/** Whatever the port, a call of the import. */
function trapPorts(functions: WasmFunctions, mismatch: Mismatch): void {
  const searching = functions.indices.filter((index) => functions.contains(index, SEARCHES_PORT));
  if (searching.length !== 2) throw mismatch(`${searching.length} functions search a table of ports, not 2`);
  const read = functions.imported('io_port_read8');
  const write = functions.imported('io_port_write8');
  for (const index of searching) {
    const called = calls(functions.body(index));
    const isRead = called.includes(read);
    if (isRead === called.includes(write)) throw mismatch('a function for ports neither reads nor writes');
    const code = isRead ? [...local(0), ...call(read)] : [...local(0), ...local(1), ...call(write)];
    functions.replaceBody(index, bodyOf(code));
  }
}

/** A WRMSR to IA32_APIC_BASE: the host gets EAX and sets the byte itself. */
function callsWrmsr(functions: WasmFunctions): number[] {
  const announce = [...constant(HostCall.APIC_BASE), ...local(0), ...call(functions.imported('io_port_write32'))];
  return [...announce, ...Array.from({ length: STORES_ENABLED.length - announce.length }, () => NOP)];
}

/** The function that both forms of IRET call begins with the host's call. */
function unblockAtIret(functions: WasmFunctions, mismatch: Mismatch): void {
  const [iret, iret16] = ['instr32_CF', 'instr16_CF'].map((name) => calls(functions.body(functions.index(name)))[0]);
  if (iret === undefined || iret16 !== iret) throw mismatch('it has no function for IRET');
  const unblock = [...constant(HostCall.NMI_UNBLOCKED), ...constant(0), ...call(functions.imported('io_port_write32'))];
  functions.insertAtStart(iret, when(loadByte(CoreOffset.nmiBlocked), unblock));
}

/**
 * `handle_irqs` calls four functions: for an interrupt of the 8259s, for one of the local APIC, for
 * the end of a halt, and to enter the handler. The first gets the address of two bytes for its
 * answer. The core's own local APIC never has an interrupt.
 */
function askHost(functions: WasmFunctions, mismatch: Mismatch): void {
  const [acknowledge, , , enterVector, ...more] = calls(functions.body(functions.index('handle_irqs')));
  if (acknowledge === undefined || enterVector === undefined || more.length > 0)
    throw mismatch('handle_irqs does not call four functions');
  const ask = [...constant(HostCall.ACKNOWLEDGE), ...call(functions.imported('io_port_read32'))];
  const body = [
    ...[...local(0), ...constant(0), STORE_HALF, UNALIGNED, 0],
    ...when(loadByte(CoreOffset.interruptRequested), [...local(0), ...ask, STORE_HALF, UNALIGNED, 0]),
  ];
  functions.replaceBody(acknowledge, bodyOf(body));
  functions.exportAs(ENTER_VECTOR_EXPORT, enterVector);
}

/** The functions that a body calls, in the order of the calls. */
function calls(body: Uint8Array): number[] {
  const found: number[] = [];
  for (let at = body.indexOf(CALL); at >= 0; at = body.indexOf(CALL, at + 1)) {
    // The linker pads the index to five bytes, which makes a call unmistakable.
    const isPadded = [1, 2, 3, 4].every((i) => (body[at + i] as number) >= 0x80) && body[at + 5] === 0;
    if (isPadded) found.push(new WasmReader(body, at + 1).u32());
  }
  return found;
}
