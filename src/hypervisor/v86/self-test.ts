/**
 * The core's self-test: a small guest on an instance of its own. It shows that v86.wasm is inside
 * as core-layout.ts and wasm-edit.ts describe it.
 *
 * Called by: core-image.ts, before the first VM on an engine that has not passed it.
 */

import { GuestMemory } from '../guest-memory.js';
import type { InterruptController } from '../interrupt-lines.js';
import { GeneralProtection } from '../io-handler.js';
import { HALTED_FOREVER } from '../vcpu-loop.js';
import { Core, TRAPS_PER_POLL } from './core.js';
import { HandlersFirst } from './handlers-first.js';
import { loadTestGuest } from './self-test-guest.js';
import * as guest from './self-test-guest.js';
import type { TrapHandler } from './trap-imports.js';
import { mismatch } from './wasm-edit.js';

const MEMORY_BYTES = 1 << 20;
/** Each trap takes this long in the guest's time, longer than a slice. */
const TRAP_MS = 2;
/** The long loop takes LOOP_ROUNDS / TRAPS_PER_POLL slices, everything else a handful. */
const MOST_SLICES = 1000;
const IN_VALUE = 0xa1b2_c3d4;
const LOAD_VALUE = 0x8192_a3b4;
/** Version 0x14 with five entries behind the first in its local vector table. */
const LOCAL_APIC_VERSION = 0x5_0014;

/** Throws CORE_MISMATCH with the first check that failed, or what the core throws. */
export function testCore(module: WebAssembly.Module): void {
  const record = new Recorder();
  const line = new OneLine();
  const handler = new HandlersFirst(record);
  const core = new Core({
    module,
    memoryBytes: MEMORY_BYTES,
    handler,
    handlers: handler.tables,
    lines: line,
    now: () => record.timeMs,
  });
  loadTestGuest(new GuestMemory(core.memory));
  core.start(guest.TEST_REGISTERS);

  // `run` returns the milliseconds until a timer, or Infinity, at a HLT with interrupts on.
  check('reaching the first HLT', runUntilHalted(core, record) > 0);
  const { accesses } = record;
  equal('registers', accesses.splice(0, 8), expectedRegisters());
  equal('port accesses', accesses.splice(0, 6), EXPECTED_PORTS);
  equal('MMIO accesses', accesses.splice(0, 7), EXPECTED_MMIO);
  equal('the local APIC', accesses.splice(0, 1), [`out ${guest.TEST_PORT}/4 ${LOCAL_APIC_VERSION}`]);
  equal('accesses in a loop', accesses.splice(0, guest.LOOP_ROUNDS).length, guest.LOOP_ROUNDS);
  equal('a refused access', accesses.splice(0), EXPECTED_REFUSED);
  check('translation of hot code', core.translationCount > 0);
  check('leaving a loop that traps', record.mostInSlice <= 2 * TRAPS_PER_POLL);

  line.raise(guest.PIC_LINE);
  check('HLT after an interrupt', runUntilHalted(core, record) > 0);
  equal('an interrupt of the 8259s', accesses.splice(0), [`out ${guest.TEST_PORT}/1 ${guest.PIC_MARK}`]);
  line.raise(guest.IO_APIC_LINE);
  check('HLT with interrupts off', runUntilHalted(core, record) === HALTED_FOREVER);
  equal('an interrupt of the IO-APIC', accesses.splice(0), [`out ${guest.TEST_PORT}/1 ${guest.IO_APIC_MARK}`]);

  core.start(guest.TEST_REGISTERS);
  core.run();
  equal('registers after a reset', accesses.splice(0, 8), expectedRegisters());
}

function runUntilHalted(core: Core, record: Recorder): number {
  for (let slice = 0; slice < MOST_SLICES; slice++) {
    record.beginSlice();
    const haltedMs = core.run();
    if (haltedMs !== 0) return haltedMs;
  }
  return 0;
}

const EXPECTED_PORTS = [
  `in ${guest.TEST_PORT}/1`,
  `in ${guest.TEST_PORT}/2`,
  `in ${guest.TEST_PORT}/4`,
  `out ${guest.TEST_PORT}/1 ${IN_VALUE & 0xff}`,
  `out ${guest.TEST_PORT}/2 ${IN_VALUE & 0xffff}`,
  `out ${guest.TEST_PORT}/4 ${IN_VALUE}`,
];

const EXPECTED_MMIO = [
  `load ${guest.TEST_ADDRESS}/1`,
  `load ${guest.TEST_ADDRESS}/2`,
  `load ${guest.TEST_ADDRESS}/4`,
  `store ${guest.TEST_ADDRESS}/1 ${LOAD_VALUE & 0xff} 0`,
  `store ${guest.TEST_ADDRESS}/2 ${LOAD_VALUE & 0xffff} 0`,
  `store ${guest.TEST_ADDRESS}/4 ${LOAD_VALUE} 0`,
  `store ${guest.TEST_ADDRESS}/8 ${LOAD_VALUE} 0`,
];

const EXPECTED_REFUSED = [`load ${guest.REFUSED_ADDRESS}/2`, `out ${guest.TEST_PORT}/1 ${guest.REFUSED_MARK}`];

function expectedRegisters(): string[] {
  const { eax, ecx, edx, ebx, esp, ebp, esi, edi } = guest.TEST_REGISTERS;
  return [eax, ecx, edx, ebx, esp, ebp, esi, edi].map(
    (value, index) => `store ${guest.REGISTERS_ADDRESS + 4 * index}/4 ${value ?? 0} 0`,
  );
}

function check(what: string, isRight: boolean): void {
  if (!isRight) throw mismatch(`its self-test failed at ${what}`);
}

function equal(what: string, found: unknown, expected: unknown): void {
  const is = JSON.stringify(found);
  const should = JSON.stringify(expected);
  if (is !== should) throw mismatch(`its self-test failed at ${what}: ${is} instead of ${should}`);
}

class Recorder implements TrapHandler {
  readonly accesses: string[] = [];
  timeMs = 0;
  mostInSlice = 0;
  #inSlice = 0;

  beginSlice(): void {
    this.#inSlice = 0;
  }

  portRead(port: number, size: number): number {
    this.#note(`in ${port}/${size}`);
    return size === 4 ? IN_VALUE : size === 2 ? IN_VALUE & 0xffff : IN_VALUE & 0xff;
  }

  portWrite(port: number, size: number, value: number): void {
    this.#note(`out ${port}/${size} ${value}`);
  }

  mmioRead(address: number, size: number): number {
    this.#note(`load ${address}/${size}`);
    if (address === guest.REFUSED_ADDRESS) throw new GeneralProtection('the self-test refuses it');
    return size === 4 ? LOAD_VALUE : size === 2 ? LOAD_VALUE & 0xffff : LOAD_VALUE & 0xff;
  }

  mmioWrite(address: number, size: number, low: number, high = 0): void {
    this.#note(`store ${address}/${size} ${low >>> 0} ${high}`);
  }

  #note(access: string): void {
    this.accesses.push(access);
    this.timeMs += TRAP_MS;
    this.mostInSlice = Math.max(this.mostInSlice, ++this.#inSlice);
  }
}

/** A line whose edge is delivered once. */
class OneLine {
  #raised: number | undefined;

  raise(line: number): void {
    this.#raised = line;
  }

  get relaxedChanged(): boolean {
    return this.#raised !== undefined;
  }

  deliver(controller: InterruptController): void {
    if (this.#raised !== undefined) controller.raise(this.#raised);
    this.#raised = undefined;
  }

  resync(): void {
    this.#raised = undefined;
  }
}
