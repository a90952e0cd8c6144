/**
 * Target "privileged": guests with any descriptor tables, page tables, tasks and code on the v86
 * core, interrupted by a line that changes while they run.
 *
 * Called by: campaigns (campaign.ts), through FUZZ_TARGETS.
 *
 * Properties: each guest runs, halts or shuts its CPU down by a triple fault. Nothing else leaves
 * the core, its memory does not grow, the target of a transfer runs at its own privilege level,
 * and a plain guest runs on it after every eighth.
 */

import { Core } from '../../hypervisor/v86/core.js';
import { loadCoreImage } from '../../hypervisor/v86/core-image.js';
import { CoreOffset } from '../../hypervisor/v86/core-layout.js';
import { coreBytes } from '../../hypervisor/v86/core-memory.js';
import { HandlersFirst } from '../../hypervisor/v86/handlers-first.js';
import { GuestMemory } from '../../hypervisor/guest-memory.js';
import type { InterruptController } from '../../hypervisor/interrupt-lines.js';
import { GeneralProtection } from '../../hypervisor/io-handler.js';
import { HALTED_FOREVER, TripleFault } from '../../hypervisor/vcpu-loop.js';
import { FuzzInput } from '../fuzz-input.js';
import { expect, type FuzzTarget } from '../fuzz-target.js';
import { MEMORY_BYTES, PrivilegedGuest } from './privileged-guest.js';
import { TARGET_PORT } from './privileged-transfer.js';

/** Limit of the calls of Core.run for one guest. */
const MAX_SLICES = 6;
/**
 * Each reading of the clock advances it by this, more than a time slice of the core: Core.run
 * returns when it first reads the clock.
 */
const SLICE_MS = 2;
/** Accesses to addresses and ports with this bit are refused. */
const REFUSED = 0x800;
/** Inputs for one plain guest: the reset for it takes longer than most inputs. */
const PLAIN_EVERY = 8;
const PLAIN_CODE = 0x9000;
/** out 0x80, al; cli; hlt */
const PLAIN = [0xe6, 0x80, 0xfa, 0xf4];
/** Bytes that a device answers: IRET, NOP, INC, INT3, JMP $ and all ones. */
const ANSWERS = [0xcf, 0x90, 0x40, 0xcc, 0xeb, 0xfe, 0xff, 0xff];

export const privilegedState: FuzzTarget = {
  name: 'privileged',
  about: 'descriptor tables, tasks, paging and exceptions on the v86 core',
  maxBytes: 1500,
  open: async () => {
    const bench = new Bench(await loadCoreImage());
    return { run: (bytes) => bench.run(bytes), close: () => undefined };
  },
};

/** One core, on which each input runs its guest. */
class Bench {
  readonly #core: Core;
  readonly #memory: GuestMemory;
  readonly #line = new TogglingLine();
  readonly #totalBytes: number;
  #timeMs = 0;
  #writes = 0;
  #inputs = 0;
  /** See PrivilegedGuest. */
  #targetLevel: number | undefined;

  constructor(module: WebAssembly.Module) {
    // Accesses that the hypervisor's own handlers do not answer come here, not to a Service VM.
    const handler = new HandlersFirst({
      portRead: (port, size) => this.#read(port, size),
      portWrite: (port) => {
        this.#requireLevel(port);
        this.#write(port);
      },
      mmioRead: (address, size) => this.#read(address, size),
      mmioWrite: (address) => this.#write(address),
    });
    this.#core = new Core({
      module,
      memoryBytes: MEMORY_BYTES,
      handler,
      handlers: handler.tables,
      lines: this.#line,
      now: () => (this.#timeMs += SLICE_MS),
      // Any constant: a finding must repeat.
      random: () => 4,
    });
    this.#memory = new GuestMemory(this.#core.memory);
    this.#totalBytes = this.#core.totalBytes;
  }

  run(bytes: Uint8Array): void {
    this.#memory.write(0, new Uint8Array(MEMORY_BYTES));
    const { registers, targetLevel } = new PrivilegedGuest(new FuzzInput(bytes), this.#memory);
    this.#targetLevel = targetLevel;
    this.#core.start(registers);
    for (let slice = 0; slice < MAX_SLICES; slice++) if (!this.#slice()) break;
    expect(this.#core.totalBytes === this.#totalBytes, 'the core has grown');
    if (++this.#inputs % PLAIN_EVERY === 0) this.#runPlain();
  }

  /** Returns false if the guest has ended. */
  #slice(): boolean {
    try {
      return this.#core.run() !== HALTED_FOREVER;
    } catch (error) {
      if (!(error instanceof TripleFault)) throw error;
      expect(error.message.startsWith('triple fault'), error.message);
      return false;
    }
  }

  #runPlain(): void {
    this.#memory.write(PLAIN_CODE, Uint8Array.from(PLAIN));
    this.#core.start({ mode: 'flat-32', ip: PLAIN_CODE, cs: { selector: 8 }, ds: { selector: 16 } });
    const before = this.#writes;
    let isHalted = false;
    for (let slice = 0; slice < MAX_SLICES && !isHalted; slice++) isHalted = !this.#slice();
    expect(isHalted, 'a plain guest did not halt');
    expect(this.#writes === before + 1, 'a plain guest did not write');
  }

  /** Code that a transfer leads to runs at the level that its CS names, or not at all. */
  #requireLevel(port: number): void {
    if (port !== TARGET_PORT || this.#targetLevel === undefined) return;
    const level = coreBytes(this.#core.memory.buffer, CoreOffset.cpl, 1)[0];
    expect(level === this.#targetLevel, `code of level ${this.#targetLevel} ran at level ${level}`);
  }

  #read(address: number, size: number): number {
    this.#access(address);
    const byte = (at: number): number => ANSWERS[(address + at) % ANSWERS.length] as number;
    let value = 0;
    for (let at = 0; at < size; at++) value |= byte(at) << (8 * at);
    return value >>> 0;
  }

  #write(address: number): void {
    this.#access(address);
    this.#writes++;
  }

  #access(address: number): void {
    this.#line.toggle();
    if ((address & REFUSED) !== 0) throw new GeneralProtection('refused');
  }
}

/** The interrupt lines that the core reads, of which line 4 changes at each access. */
class TogglingLine {
  #isHigh = false;
  relaxedChanged = false;

  toggle(): void {
    this.#isHigh = !this.#isHigh;
    this.relaxedChanged = true;
  }

  deliver(controller: InterruptController): void {
    this.relaxedChanged = false;
    if (this.#isHigh) controller.raise(4);
    else controller.lower(4);
  }

  /** The core was reset: its controllers know nothing of the line. */
  resync(): void {
    this.#isHigh = false;
    this.relaxedChanged = true;
  }
}
