/**
 * SoakVm: one VM of the soak, with its vCPUs' scripts and its devices. `round` plays the scripts
 * once, with faults in some devices, and checks each value that was read. A reset begins the next
 * round.
 *
 * Called by: soak.ts.
 */

import { ServiceVm } from '../../vm/service-vm.js';
import type { UserVm } from '../../vm/user-vm.js';
import { describeEvent, type UserVmEvent } from '../../vm/user-vm-events.js';
import { inOwnThread } from '../../device-model/placement/thread-placement.js';
import { ports } from '../../hsm/address-range.js';
import {
  ScriptedHypervisor,
  type ScriptResult,
  type ScriptStep,
} from '../../hypervisor/scripted/scripted-hypervisor.js';
import { SharedWords } from '../../sync/shared-words.js';
import {
  FATAL_FAULTS,
  faultWords,
  ROUND_WORD,
  SoakDevice,
  SoakFault,
  soakValue,
  soakWordCount,
} from './soak-device.js';
import { afterTurns, terminate, unplug, whenReady, type Place } from './soak-place.js';
import type { Threads } from './threads.js';

/** A number 0…`count` − 1. */
export type Chance = (count: number) => number;

export interface SoakCounts {
  reads: number;
  /** Reads without the device's answer. */
  allOnes: number;
  /** Faults that were planned. */
  faults: number;
  threadsLost: number;
  deviceErrors: number;
  readonly problems: string[];
}

const MAX_VCPUS = 4;
const MAX_THREADS = 3;
const READS_PER_VCPU = 24;
/** A round takes milliseconds. */
const ROUND_LIMIT_MS = 20_000;
const ALL_ONES = 0xffff_ffff;
/** Ports of device n: from n * PORTS_PER_DEVICE on. */
const PORTS_PER_DEVICE = 0x100;
/** A device has a fault in one of this many rounds. */
const TROUBLE_IN = 4;
/**
 * Kinds to choose from: 0 removes the device, those of SoakFault follow, and the two above
 * terminate its thread.
 */
const LOCAL_FAULTS = SoakFault.BLOCK + 1;
const THREAD_FAULTS = SoakFault.THROW_OUTSIDE + 3;

interface Read {
  readonly place: Place;
  readonly offset: number;
}

export class SoakVm {
  readonly #chance: Chance;
  readonly #threads: Threads;
  readonly #counts: SoakCounts;
  readonly #words: SharedWords;
  readonly #places: readonly Place[];
  readonly #reads: readonly (readonly Read[])[];
  readonly #hypervisor: ScriptedHypervisor;
  readonly #serviceVm: ServiceVm;
  #vm: UserVm | undefined;
  #round = 0;
  #isPaused = false;

  /** A VM that is not started. The first round attaches its devices. */
  static async create(chance: Chance, threads: Threads, counts: SoakCounts): Promise<SoakVm> {
    const soakVm = new SoakVm(chance, threads, counts);
    await soakVm.#create();
    return soakVm;
  }

  private constructor(chance: Chance, threads: Threads, counts: SoakCounts) {
    this.#chance = chance;
    this.#threads = threads;
    this.#counts = counts;
    const devices = 2 + chance(MAX_THREADS);
    this.#words = new SharedWords(soakWordCount(devices));
    this.#places = Array.from({ length: devices }, (_, index) => ({
      id: index + 1,
      options: { id: index + 1, words: this.#words.buffer },
      // One of them lives in the Service VM's thread.
      inThread: index > 0,
      worker: undefined,
      ready: undefined,
      detach: undefined,
      hasFault: false,
      fault: SoakFault.NONE,
    }));
    this.#reads = Array.from({ length: 1 + chance(MAX_VCPUS) }, (_, vcpu) =>
      Array.from({ length: READS_PER_VCPU }, (__, step) => ({
        place: this.#places[chance(devices)] as Place,
        offset: vcpu * READS_PER_VCPU + step,
      })),
    );
    this.#hypervisor = new ScriptedHypervisor(
      this.#reads.map((reads) => ({
        steps: reads.map(({ place, offset }): ScriptStep => ({
          type: 'port',
          direction: 'read',
          address: place.id * PORTS_PER_DEVICE + offset,
          size: 4,
        })),
      })),
    );
    this.#serviceVm = new ServiceVm(this.#hypervisor);
  }

  /** Plays the scripts once and checks what they read. Returns false if this VM cannot go on. */
  async round(): Promise<boolean> {
    const vm = this.#vm as UserVm;
    this.#words.store(ROUND_WORD, ++this.#round);
    for (const place of this.#places) await this.#repair(place);
    const strikes = this.#places.flatMap((place) => this.#plan(place));
    // Before the start, so that no result is missed.
    const played = this.#played();
    try {
      await (this.#isPaused ? vm.reset() : vm.start());
      const struck = Promise.all(strikes.map((strike) => strike()));
      const results = await played;
      await struck;
      if (results === undefined) {
        const states = this.#reads.map((_, vcpu) => vm.buffer.slot(vcpu).state).join(' ');
        this.#problem(`a vCPU waits forever; slot states ${states}`);
        return false;
      }
      results.forEach((result, vcpu) => this.#check(result, vcpu));
      return true;
    } catch (error) {
      this.#problem(String(error));
      return false;
    }
  }

  async close(): Promise<void> {
    await this.#serviceVm.close();
  }

  async #create(): Promise<void> {
    // Every second VM has a fault plan (fault-injection/): then the answers of threads pass through
    // the Service VM's thread, some of them late.
    const rules = ['client=soak-* p=0.02: delay=1ms', 'client=soak-* p=0.02: slow=200us'];
    const vm = await this.#serviceVm.createUserVm({
      memoryMiB: 1,
      vcpus: this.#reads.length,
      completionPolling: this.#chance(10) === 0,
      ...(this.#chance(2) === 0 ? {} : { faults: { seed: this.#chance(0x7fff_ffff), rules } }),
    });
    this.#vm = vm;
    vm.onEvent((event) => this.#onVmEvent(event));
  }

  #onVmEvent(event: UserVmEvent): void {
    switch (event.kind) {
      case 'device-lost':
        this.#counts.threadsLost++;
        break;
      case 'device-error':
        this.#counts.deviceErrors++;
        break;
      case 'halted':
      case 'ended':
      case 'fault-injected':
        break;
      default:
        this.#problem(describeEvent(event));
    }
  }

  /** Ends the fault of the last round, and attaches a device if the place has none. */
  async #repair(place: Place): Promise<void> {
    const { worker: last } = place;
    const hasStruck = this.#words.exchange(faultWords(place.id).fault, SoakFault.NONE) === SoakFault.NONE;
    // Its thread is about to end, and must not do so in the next round.
    if (hasStruck && FATAL_FAULTS.includes(place.fault) && last !== undefined)
      await new Promise((resolve) => last.once('exit', resolve));
    place.fault = SoakFault.NONE;
    place.hasFault = false;
    if (place.detach !== undefined) return;
    const vm = this.#vm as UserVm;
    const range = ports(place.id * PORTS_PER_DEVICE, PORTS_PER_DEVICE);
    if (!place.inThread) {
      place.detach = vm.attach(range, new SoakDevice(undefined, place.options));
      return;
    }
    const placement = inOwnThread(new URL('./soak-device.js', import.meta.url), place.options);
    const started = await this.#threads.startedBy(() => (place.detach = vm.attach(range, placement)));
    place.worker = started;
    place.ready = started === undefined ? undefined : whenReady(started);
    started?.once('exit', () => {
      if (place.worker === started) place.detach = place.worker = undefined;
    });
  }

  /**
   * Chooses a device's fault in this round: its own at one access, or from outside, as a function.
   */
  #plan(place: Place): (() => Promise<unknown>)[] {
    if (this.#chance(TROUBLE_IN) !== 0) return [];
    place.hasFault = true;
    this.#counts.faults++;
    const turns = this.#chance(8);
    const kind = this.#chance(place.inThread ? THREAD_FAULTS : LOCAL_FAULTS);
    if (kind > SoakFault.THROW_OUTSIDE) return [() => terminate(place, turns)];
    if (kind === SoakFault.NONE) return [() => afterTurns(turns).then(() => unplug(place))];
    const words = faultWords(place.id);
    place.fault = kind;
    // The countdown first: the device reads it once it sees a fault.
    this.#words.store(words.countdown, this.#chance(READS_PER_VCPU));
    this.#words.store(words.fault, kind);
    return [];
  }

  /**
   * Resolves to the results of all vCPUs, with the VM paused. Undefined if they do not come in
   * time.
   */
  #played(): Promise<ScriptResult[] | undefined> {
    const results = this.#hypervisor.results();
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(undefined), ROUND_LIMIT_MS);
      void results.then((all) => {
        clearTimeout(timer);
        this.#isPaused = true;
        void (this.#vm as UserVm).pause().then(() => resolve(all));
      });
    });
  }

  #check(result: ScriptResult, vcpu: number): void {
    const reads = this.#reads[vcpu] ?? [];
    if (result.values.length !== reads.length || result.faults > 0)
      this.#problem(`vCPU ${vcpu} has ${result.values.length} answers to ${reads.length} reads`);
    reads.forEach(({ place, offset }, step) => {
      const value = Number(result.values[step]);
      this.#counts.reads++;
      if (value === soakValue(place.id, this.#round, offset)) return;
      this.#counts.allOnes++;
      if (value === ALL_ONES && place.hasFault) return;
      const expected = soakValue(place.id, this.#round, offset).toString(16);
      this.#problem(`vCPU ${vcpu} read 0x${value.toString(16)} where device ${place.id} answers 0x${expected}`);
    });
  }

  #problem(text: string): void {
    this.#counts.problems.push(`round ${this.#round}: ${text}`);
  }
}
