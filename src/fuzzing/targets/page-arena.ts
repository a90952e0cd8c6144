/**
 * PageArena: the two VMs of the target "page".
 *
 * - A thread overwrites the victim's page. The victim's clients are a device in this thread, one in
 *   its own, and a client that completes later and checks its requests.
 * - The witness has the same script and a device of its own, and must not be affected.
 * - Both have a vCPU that waits forever, so that they do not end with their scripts.
 *
 * Called by: page-programs.ts, which opens one arena and plays many programs in it.
 */

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { inOwnThread, mmio, ports, ScriptedHypervisor, ServiceVm } from '../../index.js';
import type { InterruptLine, ScriptResult, ScriptStep, UserVm, UserVmEvent } from '../../index.js';
import { SharedWords } from '../../sync/shared-words.js';
import { expect, Violation, within } from '../fuzz-target.js';
import { CheckedClient } from './checked-client.js';
import { patternValue, PatternDevice } from './pattern-device.js';
import type { PageWrite } from './page-writer-thread.js';

const PLAYING_VCPUS = 3;
/** Times that each vCPU plays STEPS. */
const ROUNDS = 40;
/** For each act. It takes milliseconds, but the machine may be busy. */
const LIMIT_MS = 45_000;
/** Ports of the device in this thread, and of the one in its own. */
const LOCAL = 0x500;
const THREADED = 0x600;
/** Device memory of the checked client. */
const MEMORY = 0x8000_0000;
/** Bytes of each range. */
const RANGE = 0x100;
/** Ports without a device, which the checked client has for a time. */
const UNCLAIMED = 0x700;
/** The interrupt line on which the waiting vCPU waits. */
const LINE = 5;
const STEPS: readonly ScriptStep[] = [
  { type: 'port', direction: 'read', address: LOCAL + 4, size: 4 },
  { type: 'port', direction: 'write', address: LOCAL + 8, size: 2, value: 7 },
  { type: 'port', direction: 'read', address: THREADED + 1, size: 1 },
  { type: 'mmio', direction: 'read', address: MEMORY + 16, size: 8 },
  { type: 'port', direction: 'write', address: 0xcf8, size: 4, value: 0x8000_0000 },
  { type: 'port', direction: 'read', address: 0xcfc, size: 4 },
  { type: 'port', direction: 'read', address: UNCLAIMED, size: 2 },
];
/**
 * What the reads of STEPS give if no thread overwrites the page: those of the three devices, then
 * all ones from a PCI function and a port that do not exist.
 */
const HONEST: readonly bigint[] = [
  BigInt(patternValue(4, 4)),
  BigInt(patternValue(1, 1)),
  (BigInt(patternValue(20, 4)) << 32n) | BigInt(patternValue(16, 4)),
  0xffff_ffffn,
  0xffffn,
];
/** `halted` is the end of a script. The others are events that an overwritten page may cause. */
const EXPECTED: readonly UserVmEvent['kind'][] = ['halted', 'notify-failed', 'flush-timeout', 'no-client'];

/** One act of the operator while the page is overwritten. */
export type Act =
  /** Nothing, for some turns of the event loop. */
  | 'wait'
  /** Resets the VM. */
  | 'reset'
  /** Pauses it first. */
  | 'pause'
  /** Removes the checked client and adds it again. */
  | 'replace'
  /** Gives the checked client one range more, or removes that range. */
  | 'range'
  /** Detaches the device in this thread and attaches a new one. */
  | 'detach'
  /** The same with the device in a thread of its own. */
  | 'thread'
  /** Pulses an interrupt line, which rings vCPU 0. */
  | 'inject';

/** One of the two VMs. */
interface Side {
  readonly vm: UserVm;
  /** By vCPU: what its script gave since the last start. */
  readonly results: (ScriptResult | undefined)[];
  /** Called with each result. */
  changed: () => void;
}

export class PageArena {
  /** Of the victim and of the witness. */
  readonly #hypervisors: readonly [ScriptedHypervisor, ScriptedHypervisor];
  readonly #serviceVm: ServiceVm;
  /** Of both VMs. */
  readonly #events: UserVmEvent[] = [];
  readonly #checked: CheckedClient;
  readonly #witnessDevice = new PatternDevice();
  /** Word 0: 1 while the writer writes. */
  readonly #writing = new SharedWords(1);
  #victim!: Side;
  #line!: InterruptLine;
  #witness!: Side;
  /** Undefined if the arena could not be set up. */
  #writer: Worker | undefined;
  #detachLocal: () => void = () => undefined;
  #detachThreaded: () => void = () => undefined;
  #hasExtraRange = false;

  static async create(): Promise<PageArena> {
    const arena = new PageArena();
    try {
      await arena.#create();
    } catch (error) {
      // Otherwise its threads would stay.
      await arena.close();
      throw error;
    }
    return arena;
  }

  private constructor() {
    const playing = Array.from({ length: PLAYING_VCPUS }, () => ({ steps: STEPS, repeat: ROUNDS }));
    const hypervisor = (): ScriptedHypervisor => new ScriptedHypervisor([...playing, WAITS_FOREVER]);
    // Two hypervisors behind one Service VM: each reports the results of its own VM.
    let created = 0;
    this.#hypervisors = [hypervisor(), hypervisor()];
    this.#serviceVm = new ServiceVm({
      name: 'scripted twice',
      available: () => this.#hypervisors[0].available(),
      createVm: (...parts) => this.#hypervisors[created++ === 0 ? 0 : 1].createVm(...parts),
    });
    this.#checked = new CheckedClient('checked', [mmio(MEMORY, RANGE)]);
  }

  async #create(): Promise<void> {
    this.#victim = await this.#side(0);
    this.#witness = await this.#side(1);
    const { vm } = this.#victim;
    this.#line = vm.interruptLine(LINE);
    vm.onEvent((event) => this.#events.push(event));
    this.#attachLocal();
    this.#attachThreaded();
    vm.createClient(this.#checked, this.#checked.ranges);
    const witness = this.#witness.vm;
    witness.onEvent((event) => this.#events.push(event));
    witness.attach(ports(LOCAL, RANGE), this.#witnessDevice);
    witness.attach(ports(THREADED, RANGE), new PatternDevice());
    witness.attach(mmio(MEMORY, RANGE), new PatternDevice());
    this.#writer = new Worker(new URL('./page-writer-thread.js', import.meta.url), {
      workerData: { page: vm.buffer.page, control: this.#writing.buffer },
    });
    await vm.start();
    await witness.start();
  }

  async #side(index: 0 | 1): Promise<Side> {
    const vm = await this.#serviceVm.createUserVm({
      memoryMiB: 1,
      vcpus: PLAYING_VCPUS + 1,
      // What takes long here is the machine. A request that never ends is found by the limit of
      // each act.
      clientTimeoutMs: Infinity,
      startTimeoutMs: Infinity,
    });
    const side: Side = { vm, results: [], changed: () => undefined };
    this.#hypervisors[index].onResult((vcpu, result) => {
      side.results[vcpu] = result;
      side.changed();
    });
    return side;
  }

  /** One program: the acts one after the other, while the writer repeats the writes. */
  async play(acts: readonly Act[], writes: readonly PageWrite[]): Promise<void> {
    await this.#restart(this.#witness, 'the witness', () => (this.#witnessDevice.accesses = 0));
    // Requests are then in flight when the writer starts.
    await this.#restart(this.#victim, 'the victim');
    const writer = this.#writer as Worker;
    const stopped = once(writer, 'message');
    this.#writing.store(0, 1);
    writer.postMessage(writes);
    try {
      for (const act of acts) await within(LIMIT_MS, `${act} beside a hostile page`, this.#act(act));
      await within(LIMIT_MS, 'the other VM', this.#honest(this.#witness));
    } finally {
      this.#writing.store(0, 0);
      await stopped;
    }
    const seen = this.#witnessDevice.accesses;
    // STEPS has two accesses to that device.
    expect(seen === 2 * ROUNDS * PLAYING_VCPUS, () => `the other VM’s device saw ${seen} accesses`);
    await this.#restart(this.#victim, 'the victim');
    await within(LIMIT_MS, 'the VM after its reset', this.#honest(this.#victim));
    const odd = this.#events.find(({ kind }) => !EXPECTED.includes(kind));
    expect(odd === undefined, () => JSON.stringify(odd));
    this.#events.length = 0;
  }

  async close(): Promise<void> {
    this.#writing.store(0, 0);
    await this.#writer?.terminate();
    await within(LIMIT_MS, 'close', this.#serviceVm.close());
  }

  /** Resets a VM, which runs its scripts again. `paused` is called while it does not run. */
  async #restart(side: Side, what: string, paused: () => void = () => undefined): Promise<void> {
    await within(LIMIT_MS, `pause of ${what}`, side.vm.pause());
    // A result in flight arrives one turn later.
    await new Promise((resolve) => setImmediate(resolve));
    side.results.length = 0;
    paused();
    await within(LIMIT_MS, `reset of ${what}`, side.vm.reset());
  }

  /** Resolves when each playing vCPU has read every value of its devices. */
  async #honest(side: Side): Promise<void> {
    for (;;) {
      const results = Array.from({ length: PLAYING_VCPUS }, (_, vcpu) => side.results[vcpu]);
      for (const result of results) if (result !== undefined) checkHonest(result);
      if (results.every((result) => result !== undefined)) return;
      await new Promise<void>((resolve) => (side.changed = resolve));
    }
  }

  async #act(act: Act): Promise<void> {
    const { vm } = this.#victim;
    switch (act) {
      case 'wait':
        for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
        return;
      case 'reset':
        return vm.reset();
      case 'pause':
        await vm.pause();
        return vm.reset();
      case 'replace':
        vm.destroyClient(this.#checked);
        await new Promise((resolve) => setImmediate(resolve));
        vm.createClient(this.#checked, this.#checked.ranges);
        this.#hasExtraRange = false;
        return;
      case 'range':
        if (this.#hasExtraRange) this.#checked.remove(vm);
        else this.#checked.add(vm, ports(UNCLAIMED, 2));
        this.#hasExtraRange = !this.#hasExtraRange;
        return;
      case 'detach':
        this.#detachLocal();
        await new Promise((resolve) => setImmediate(resolve));
        this.#attachLocal();
        return;
      case 'thread':
        this.#detachThreaded();
        this.#attachThreaded();
        return;
      case 'inject':
        this.#line.set(true);
        this.#line.set(false);
    }
  }

  #attachLocal(): void {
    this.#detachLocal = this.#victim.vm.attach(ports(LOCAL, RANGE), new PatternDevice());
  }

  #attachThreaded(): void {
    const placement = inOwnThread(new URL('./pattern-device.js', import.meta.url));
    this.#detachThreaded = this.#victim.vm.attach(ports(THREADED, RANGE), placement);
  }
}

/** It waits forever: interrupts go to vCPU 0, so `inject` does not wake it. */
const WAITS_FOREVER = { steps: [{ type: 'wait-for-interrupt', line: LINE }] } as const;

/** Throws if a vCPU has not read what it reads with an untouched page. */
function checkHonest({ values, faults, accesses }: ScriptResult): void {
  const got = values.map((value) => value.toString(16)).join(' ');
  if (faults === 0 && accesses === ROUNDS * STEPS.length && values.every((value, at) => value === HONEST[at])) return;
  throw new Violation(
    `a vCPU read ${got} in ${accesses} accesses with ${faults} faults, not ${HONEST.map((value) => value.toString(16)).join(' ')}`,
  );
}
