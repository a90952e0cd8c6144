/**
 * ScriptPlayer: the VcpuProgram that plays a script.
 *
 * Called by: scripted-thread.ts, and tests in one thread.
 */

import type { InterruptController } from '../interrupt-lines.js';
import { GeneralProtection, type IoHandler } from '../io-handler.js';
import { mergeRegister } from '../register-merge.js';
import { HALTED_FOREVER, type VcpuProgram } from '../vcpu-loop.js';
import type { VmSharedState } from '../vm-shared-state.js';
import type { MmioStep, PortStep, Script, ScriptResult, ScriptStep, ScriptValue } from './script.js';

/** Steps in one slice, so that a pause or reset need not wait for a long script. */
const STEPS_PER_SLICE = 256;

export class ScriptPlayer implements VcpuProgram, InterruptController {
  readonly #steps: readonly ScriptStep[];
  readonly #rounds: number;
  readonly #handler: IoHandler;
  readonly #shared: VmSharedState;
  readonly #done: (result: ScriptResult) => void;
  /** The interrupt lines that are high. */
  readonly #pins = new Set<number>();
  #next = 0;
  #round = 0;
  #accesses = 0;
  // As in ScriptResult, until now.
  #values: bigint[] = [];
  #rax = 0n;
  #faults = 0;
  #startedMs = 0;

  /** `done` is called at the end of the script, at most once after each start. */
  constructor(script: Script, handler: IoHandler, shared: VmSharedState, done: (result: ScriptResult) => void) {
    this.#steps = script.steps;
    this.#rounds = script.repeat ?? 1;
    this.#handler = handler;
    this.#shared = shared;
    this.#done = done;
  }

  start(): void {
    this.#next = 0;
    this.#round = 0;
    this.#accesses = 0;
    this.#values = [];
    this.#rax = 0n;
    this.#faults = 0;
    this.#pins.clear();
    this.#shared.lines.resync();
    this.#startedMs = performance.now();
  }

  run(): number {
    if (this.#shared.lines.relaxedChanged) this.#shared.lines.deliver(this);
    for (let i = 0; i < STEPS_PER_SLICE; i++) {
      const step = this.#steps[this.#next];
      if (step === undefined) {
        if (++this.#round >= this.#rounds) return this.#finish();
        this.#next = 0;
        this.#values = [];
        this.#faults = 0;
        continue;
      }
      if (step.type === 'wait-for-interrupt') {
        // Halted, without a timer. A change of a line calls `run` again, at the same step.
        if (!this.#pins.has(step.line)) return Infinity;
      } else {
        this.#try(step);
        this.#accesses++;
      }
      this.#next++;
    }
    return 0;
  }

  raise(line: number): void {
    this.#pins.add(line);
  }

  lower(line: number): void {
    this.#pins.delete(line);
  }

  /** A #GP skips the access, as a guest's handler would. */
  #try(step: PortStep | MmioStep): void {
    try {
      this.#play(step);
    } catch (error) {
      if (!(error instanceof GeneralProtection)) throw error;
      this.#faults++;
      if (step.direction === 'read' && step.type !== 'write-protect')
        this.#values.push(BigInt.asUintN(8 * step.size, -1n));
    }
  }

  #play(step: PortStep | MmioStep): void {
    if (step.direction === 'write' || step.type === 'write-protect') {
      const value = BigInt.asUintN(64, this.#valueOf(step.value ?? 0));
      const low = Number(value & 0xffff_ffffn);
      const high = Number(value >> 32n) | 0;
      if (step.type === 'port') this.#handler.portWrite(step.address, step.size, low);
      else if (step.type === 'mmio' && !this.#isProtected(step.address))
        this.#handler.mmioWrite(step.address, step.size, low, high);
      else this.#handler.writeProtectedWrite(step.address, step.size, low, high);
      return;
    }
    let value: bigint;
    if (step.type === 'port') value = BigInt(this.#handler.portRead(step.address, step.size));
    else {
      value = BigInt(this.#handler.mmioRead(step.address, step.size));
      if (step.size === 8) value |= BigInt(this.#handler.valueHigh >>> 0) << 32n;
    }
    this.#values.push(value);
    this.#rax = mergeRegister(this.#rax, value, step.size);
  }

  #valueOf(value: number | bigint | ScriptValue): bigint {
    if (value === 'faults') return BigInt(this.#faults);
    if (typeof value !== 'object') return BigInt(value);
    return (this.#values[value.read] ?? 0n) + BigInt(value.plus ?? 0);
  }

  /** Only the first byte counts: a page fault names one address. */
  #isProtected(address: number): boolean {
    const { protectedPages } = this.#shared;
    return protectedPages.any && protectedPages.has(address);
  }

  #finish(): number {
    this.#done({
      values: this.#values,
      rax: this.#rax,
      faults: this.#faults,
      accesses: this.#accesses,
      elapsedMs: performance.now() - this.#startedMs,
    });
    return HALTED_FOREVER;
  }
}
