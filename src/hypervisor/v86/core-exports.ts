/**
 * The core's interface: the functions that upcall calls, those that the core calls back, and the
 * check that the module has them all.
 *
 * Called by: core.ts (`instantiate`), core-image.ts (`checkModule`), and for the types the files of
 * this folder that call the core or that it calls.
 */

import { FIRST_TRANSLATION, TRANSLATION_COUNT } from './core-layout.js';
import { DELIVER_EXPORT } from './exception-edits.js';
import { ENTER_VECTOR_EXPORT } from './interrupt-edits.js';
import { mismatch, STACK_POINTER_EXPORT } from './wasm-edit.js';

/** Exports of the edited v86.wasm, without those that only translations use. */
export interface CoreExports {
  readonly memory: WebAssembly.Memory;
  readonly [STACK_POINTER_EXPORT]: WebAssembly.Global;
  /**
   * Delivers an exception or interrupt at EIP. Stops with a WebAssembly trap where that fails
   * (exception-edits.ts).
   */
  [DELIVER_EXPORT](vector: number, isSoftware: number, hasErrorCode: number, errorCode: number): void;
  rust_init(): void;
  v86_malloc(bytes: number): number;
  v86_free(address: number): void;
  reset_cpu(): void;
  set_tsc(low: number, high: number): void;
  set_jit_config(index: number, value: number): void;
  update_state_flags(): void;
  /**
   * Runs about a millisecond. Returns the milliseconds until the next timer when the CPU is halted,
   * else 0.
   */
  main_loop(): number;
  /** Enters the handler of an interrupt if one is requested and EFLAGS.IF is set. */
  handle_irqs(): void;
  /** Enters the handler of a vector. The other operands are 0 for an NMI. */
  [ENTER_VECTOR_EXPORT](vector: number, isSoftware: 0, hasErrorCode: 0, errorCode: 0): void;
  /** Drops the translations of code in the RAM from `start` to before `end`. */
  jit_dirty_cache(start: number, end: number): void;
  /** Drops all translations. */
  jit_clear_cache_js(): void;
  full_clear_tlb(): void;
  /**
   * Puts a translation into use. The operands are the first three of the import `codegen_finalize`,
   * by which the core handed it out.
   */
  codegen_finalize_finished(index: number, start: number, stateFlags: number): void;
  /** MOV to a control register from a general one. */
  instr_0F22(general: number, control: number): void;
  /** Before a translation leaves: #GP at the instruction that lies at `eip` in its page. */
  trigger_gp_jit(errorCode: number, eip: number): void;
}

const FUNCTIONS: readonly (keyof CoreExports)[] = [
  DELIVER_EXPORT,
  'rust_init',
  'v86_malloc',
  'v86_free',
  'reset_cpu',
  'set_tsc',
  'set_jit_config',
  'update_state_flags',
  'main_loop',
  'handle_irqs',
  ENTER_VECTOR_EXPORT,
  'jit_dirty_cache',
  'jit_clear_cache_js',
  'full_clear_tlb',
  'codegen_finalize_finished',
  'instr_0F22',
  'trigger_gp_jit',
];

/** The core's imports, beside the function table. */
export const IMPORTED_FUNCTIONS = [
  'microtick',
  'get_rand_int',
  'stop_idling',
  'cpu_event_halt',
  'run_hardware_timers',
  'io_port_read8',
  'io_port_read16',
  'io_port_read32',
  'io_port_write8',
  'io_port_write16',
  'io_port_write32',
  'mmap_read8',
  'mmap_read32',
  'mmap_write8',
  'mmap_write16',
  'mmap_write32',
  'mmap_write64',
  'mmap_write128',
  'jit_clear_func',
  'codegen_finalize',
  'console_log_from_wasm',
] as const;
export type ImportedFunction = (typeof IMPORTED_FUNCTIONS)[number];
export type CoreImports = Record<ImportedFunction, (...args: number[]) => unknown>;

export const TABLE_IMPORT = '__indirect_function_table';

/**
 * Throws CORE_MISMATCH unless the module imports exactly our functions and exports all that we
 * call.
 */
export function checkModule(module: WebAssembly.Module): void {
  const known = new Set<string>([...IMPORTED_FUNCTIONS, TABLE_IMPORT]);
  const imports = WebAssembly.Module.imports(module);
  for (const { module: from, name } of imports)
    if (from !== 'env' || !known.has(name)) throw mismatch(`it imports ${from}.${name}`);
  if (imports.length !== known.size) throw mismatch(`it has ${imports.length} imports, not ${known.size}`);
  const exports = new Map(WebAssembly.Module.exports(module).map(({ name, kind }) => [name, kind]));
  for (const name of FUNCTIONS)
    if (exports.get(name) !== 'function') throw mismatch(`it does not export the function ${name}`);
  if (exports.get('memory') !== 'memory') throw mismatch('it does not export its memory');
  if (exports.get(STACK_POINTER_EXPORT) !== 'global') throw mismatch('its stack pointer is not exported');
}

/** An instance of the edited module with the functions that it calls back. */
export function instantiate(
  module: WebAssembly.Module,
  imports: CoreImports,
): { readonly exports: CoreExports; readonly table: WebAssembly.Table } {
  const table = new WebAssembly.Table({ element: 'anyfunc', initial: FIRST_TRANSLATION + TRANSLATION_COUNT });
  const instance = new WebAssembly.Instance(module, { env: { ...imports, [TABLE_IMPORT]: table } });
  return { exports: instance.exports as unknown as CoreExports, table };
}
