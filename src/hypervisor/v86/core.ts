/**
 * Core: one x86 CPU, which is v86.wasm with nothing around it, and its interrupt controllers.
 *
 * Called by: v86-thread.ts and the self-test, which create it; the vCPU's loop, as its VcpuProgram.
 * Trapped accesses go to a TrapHandler, whose calls may block for any time.
 * Threads: all in the vCPU's thread.
 *
 * As in ACRN the interrupt controllers are the hypervisor's. They are upcall's own
 * (interrupt-controllers/). The core's are cut off (interrupt-edits.ts): it asks for the vector
 * when it can take an interrupt, and NMIs are entered from here.
 */

import { UpcallError } from '../../io-request/upcall-error.js';
import { DirtyPages } from '../dirty-pages.js';
import type { GuestMemoryHandle } from '../guest-memory.js';
import type { HandlerTables } from '../hypervisor.js';
import type { MsiDelivery } from '../msi-queue.js';
import type { SavedVcpu } from '../saved-vcpu.js';
import { HALTED_FOREVER, type VcpuProgram } from '../vcpu-loop.js';
import type { VcpuRegisters } from '../vcpu-registers.js';
import { instantiate, type CoreExports, type CoreImports } from './core-exports.js';
import { AddedOffset, CoreOffset, CPU_STATE_BYTES, INSTRUCTIONS_PER_POLL, SCREEN_END } from './core-layout.js';
import { CoreInterrupts, type InterruptSource } from './core-interrupts.js';
import { coreBytes, coreFields, coreWords } from './core-memory.js';
import { allocateRam, reserveHeap } from './core-ram.js';
import { random32 } from './core-random.js';
import { setRegisters } from './core-registers.js';
import { CoreSnapshot } from './core-snapshot.js';
import { ExceptionDelivery } from './exception-delivery.js';
import { PristineState } from './pristine-state.js';
import { Translations } from './translations.js';
import { trapImports, type TrapHandler } from './trap-imports.js';
import { TrappedRam, type PageProtection } from './trapped-ram.js';
import { STACK_POINTER_EXPORT } from './wasm-edit.js';

export interface CoreOptions {
  /** From `loadCoreImage`. */
  readonly module: WebAssembly.Module;
  readonly memoryBytes: number;
  readonly handler: TrapHandler;
  /** The tables that `handler` searches first. The interrupt controllers are registered there. */
  readonly handlers: HandlerTables;
  readonly lines: InterruptSource;
  readonly protection?: PageProtection;
  /** A clock in ms, for the TSC and the local APIC's timer. Default: performance.now(). */
  readonly now?: () => number;
  /** The 32 bits of RDRAND and RDSEED. Default: Web Crypto's. */
  readonly random?: () => number;
  /** Whether hot code is translated. Default: true. If false, every instruction is interpreted. */
  readonly translate?: boolean;
}

/** Devices are at 2 GiB at the lowest; the core has one 4-GiB space for the RAM and itself. */
export const MAX_CORE_MEMORY = 0x8000_0000;
export const MIN_CORE_MEMORY = 0x10_0000;

/** Traps between two polls for interrupts and timers: each trap may have taken long. */
export const TRAPS_PER_POLL = 64;
/** Power-on x87 state, which the core leaves to its host: stack empty, FNINIT's control word. */
const FPU_STACK_EMPTY = 0xff;
const FPU_CONTROL_WORD = 0x37f;
/** Settings of `set_jit_config`. */
const JIT_DISABLED = 0;
const PAGES_PER_TRANSLATION = 1;

export class Core implements VcpuProgram {
  /** The guest's RAM, at the same place for the life of the core. */
  readonly memory: GuestMemoryHandle;
  readonly #core: CoreExports;
  readonly #lines: InterruptSource;
  readonly #interrupts: CoreInterrupts;
  readonly #translations: Translations;
  readonly #dirty: DirtyPages;
  readonly #trappedRam: TrappedRam | undefined;
  readonly #pristine: PristineState;
  readonly #snapshot: CoreSnapshot;
  readonly #stackPointer: number;
  readonly #exceptions: ExceptionDelivery;
  readonly #words: Int32Array;
  readonly #blockBoundary: Uint8Array;
  readonly #now: () => number;
  readonly #dropTranslations: (start: number, end: number) => void;
  /** The guest's time 0 by `now`. */
  #startedMs: number;
  /** Whether no guest code has run since the power-on state was made. */
  #isPristine = true;
  /** The guest's time of a restored core that has not started. */
  #restoredMs: number | undefined;
  /** Since a HLT with interrupts off. Only an NMI or a reset ends it. */
  #isHaltedForever = false;
  #trapsLeft = TRAPS_PER_POLL;

  constructor(options: CoreOptions) {
    const { module, memoryBytes, handler, lines } = options;
    if (!(memoryBytes >= MIN_CORE_MEMORY && memoryBytes <= MAX_CORE_MEMORY) || memoryBytes % MIN_CORE_MEMORY !== 0)
      throw new UpcallError('VM_LIMIT', `${memoryBytes} bytes of RAM: the v86 core takes 1 MiB to 2 GiB, in whole MiB`);
    this.#lines = lines;
    this.#now = options.now ?? (() => performance.now());
    this.#startedMs = this.#now();
    const { exports, table } = instantiate(module, this.#imports(handler, options.random ?? random32));
    this.#core = exports;
    exports.rust_init();
    const state = coreFields(exports.memory.buffer, 0, exports.memory.buffer.byteLength);
    state.setUint8(CoreOffset.fpuStackEmpty, FPU_STACK_EMPTY);
    state.setUint16(CoreOffset.fpuControlWord, FPU_CONTROL_WORD, true);
    exports.set_tsc(0, 0);
    state.setUint32(CoreOffset.memorySize, memoryBytes, true);
    state.setUint32(AddedOffset.ramEnd, memoryBytes, true);
    state.setUint32(AddedOffset.ramAboveScreen, Math.max(0, memoryBytes - SCREEN_END), true);
    const byteOffset = allocateRam(exports.memory, memoryBytes);
    state.setUint32(CoreOffset.ramPointer, byteOffset, true);
    const heap = reserveHeap(exports, memoryBytes);
    if (options.translate === false) exports.set_jit_config(JIT_DISABLED, 1);
    // The core's own value is 3: the translations of neighbours then overlap, so that most code is
    // translated several times, and compiling takes longer than what the guest gains.
    exports.set_jit_config(PAGES_PER_TRANSLATION, 1);
    // The guest sees a local APIC by CPUID and its MSR. Interrupts do not depend on these.
    state.setUint8(CoreOffset.acpiEnabled, 1);
    state.setUint8(CoreOffset.apicEnabled, 1);
    exports.reset_cpu();

    const buffer = exports.memory.buffer as SharedArrayBuffer;
    const dirty = DirtyPages.create(memoryBytes);
    this.memory = { buffer, byteOffset, byteLength: memoryBytes, dirty };
    this.#dirty = new DirtyPages(dirty);
    if (options.protection !== undefined) this.#trappedRam = new TrappedRam(options.protection, exports, this.memory);
    this.#dropTranslations = (start, end) => exports.jit_dirty_cache(start, end);
    this.#words = coreWords(buffer, 0, CPU_STATE_BYTES >> 2);
    this.#blockBoundary = coreBytes(buffer, CoreOffset.blockBoundary, 1);
    this.#translations = new Translations(exports, table, () => this.#pollSoon());
    const clock = { guestMs: () => this.#guestMs(), pollSoon: () => this.#pollSoon() };
    this.#interrupts = new CoreInterrupts(exports, options.handlers, clock, lines);
    this.#stackPointer = exports[STACK_POINTER_EXPORT].value;
    this.#exceptions = new ExceptionDelivery(exports, this.#words, this.#stackPointer);
    this.#snapshot = new CoreSnapshot(exports, this.memory);
    const ram = { start: byteOffset, end: byteOffset + memoryBytes };
    this.#pristine = new PristineState(buffer, ram, heap);
  }

  /** Linear address of the next instruction. */
  get instructionPointer(): number {
    return this.#word(CoreOffset.instructionPointer) >>> 0;
  }

  /** Translations made since the last start. */
  get translationCount(): number {
    return this.#translations.count;
  }

  /** Bytes of the core's whole linear memory. */
  get totalBytes(): number {
    return this.#core.memory.buffer.byteLength;
  }

  generalRegister(index: number): number {
    return this.#word(CoreOffset.generalRegisters + 4 * index) >>> 0;
  }

  start(registers: VcpuRegisters | undefined): void {
    if (this.#restoredMs !== undefined) {
      this.#startedMs = this.#now() - this.#restoredMs;
      this.#restoredMs = undefined;
      this.#trappedRam?.follow();
      this.#dirty.take(() => undefined);
      return;
    }
    if (!this.#isPristine) this.#reset();
    this.#isPristine = false;
    this.#trappedRam?.follow();
    this.#lines.resync();
    // There are no translations yet that would have to be dropped.
    this.#dirty.take(() => undefined);
    if (registers !== undefined) setRegisters(this.#core, registers);
  }

  run(): number {
    try {
      // Not as soon as the core has made one: it then holds its compiler's lock.
      this.#translations.publish();
      if (this.#dirty.any) this.#dirty.take(this.#dropTranslations);
      if (this.#trappedRam?.isBehind === true) this.#trappedRam.follow();
      if (this.#lines.relaxedChanged) this.#interrupts.deliver(this.#lines);
      if (this.#interrupts.enterAny()) this.#isHaltedForever = false;
      const haltedMs = this.#core.main_loop();
      if (this.#isHaltedForever) return HALTED_FOREVER;
      return haltedMs > 0 ? haltedMs : 0;
    } catch (error) {
      this.#exceptions.recover(error);
      return 0;
    }
  }

  /** The guest's interrupts are with the controllers afterwards, and no translation is left. */
  save(): SavedVcpu {
    this.#translations.publish();
    this.#dirty.take(this.#dropTranslations);
    this.#interrupts.deliver(this.#lines);
    this.#trapsLeft = TRAPS_PER_POLL;
    return this.#snapshot.save({
      guestMs: this.#guestMs(),
      isHaltedForever: this.#isHaltedForever,
      controllers: this.#interrupts.save(),
    });
  }

  /** Before the first start, which then goes on from `saved`. Throws SNAPSHOT_INVALID. */
  restore(saved: SavedVcpu): void {
    const { guestMs, isHaltedForever, controllers } = this.#snapshot.restore(saved);
    this.#interrupts.restore(controllers, this.#lines);
    this.#isHaltedForever = isHaltedForever;
    this.#isPristine = false;
    this.#restoredMs = guestMs;
  }

  message(kind: MsiDelivery, vector: number): void {
    this.#interrupts.message(kind, vector);
  }

  /** Power-on. The guest's RAM stays as it is. */
  #reset(): void {
    this.#pristine.restore(this.#core.memory.buffer);
    this.#core[STACK_POINTER_EXPORT].value = this.#stackPointer;
    this.#translations.reset();
    this.#interrupts.reset();
    this.#startedMs = this.#now();
    this.#isHaltedForever = false;
    this.#trapsLeft = TRAPS_PER_POLL;
  }

  #imports(handler: TrapHandler, random: () => number): CoreImports {
    return {
      ...trapImports(
        handler,
        {
          answer: () => this.#interrupts.acknowledge(),
          notify: (call, value) => this.#interrupts.notify(call, value),
        },
        () => this.#trapped(),
        () => this.#trappedRam,
      ),
      microtick: () => this.#guestMs(),
      run_hardware_timers: (_acpi, nowMs) => this.#runTimers(nowMs),
      get_rand_int: () => random(),
      stop_idling: () => undefined,
      // HLT with interrupts off.
      cpu_event_halt: () => {
        this.#isHaltedForever = true;
      },
      jit_clear_func: (index) => this.#translations.remove(index),
      codegen_finalize: (...module) => {
        this.#translations.add(...(module as [number, number, number, number, number]));
        this.#trappedRam?.translated();
      },
      console_log_from_wasm: () => undefined,
    };
  }

  /** After an access, before the guest goes on: applies what the Service VM did meanwhile. */
  #trapped(): void {
    if (this.#dirty.any) this.#dirty.take(this.#dropTranslations);
    if (this.#lines.relaxedChanged) this.#interrupts.deliver(this.#lines);
    if (!this.#interrupts.canEnter && this.#trappedRam?.isBehind !== true && --this.#trapsLeft > 0) return;
    this.#pollSoon();
  }

  /**
   * Makes the core poll for timers and interrupts when the instruction is over. Without it the core
   * polls after INSTRUCTIONS_PER_POLL instructions, however long their accesses took.
   */
  #pollSoon(): void {
    this.#trapsLeft = TRAPS_PER_POLL;
    const counter = CoreOffset.instructionCounter >> 2;
    this.#words[counter] = (this.#words[counter] as number) + INSTRUCTIONS_PER_POLL;
    this.#blockBoundary[0] = 1;
    this.#translations.leaveSoon();
  }

  /** `run_hardware_timers`: the core polls for timers, then for interrupts. */
  #runTimers(nowMs: number): number {
    this.#trapsLeft = TRAPS_PER_POLL;
    this.#translations.left();
    if (this.#trappedRam?.isBehind === true) this.#trappedRam.follow();
    const untilNextMs = this.#interrupts.expire(nowMs);
    if (this.#interrupts.enterNmi()) this.#isHaltedForever = false;
    return untilNextMs;
  }

  #guestMs(): number {
    return this.#now() - this.#startedMs;
  }

  #word(offset: number): number {
    return this.#words[offset >> 2] as number;
  }
}
