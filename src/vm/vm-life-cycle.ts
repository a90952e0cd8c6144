/**
 * VmLifeCycle: upcall's own policy for one User VM. If the guest resets its machine, the VM
 * restarts. If it powers off, crashes, or has a triple fault, or if all its vCPUs have halted for
 * good, the VM ends. If several of these happen together, the VM ends once.
 *
 * Start, pause, reset and end are steps that run one after the other. The end makes a step in
 * progress stop waiting, and itself waits for vCPUs with a time limit.
 *
 * Called by: UserVm, for the operator, the guest and the hypervisor.
 * Threads: the Service VM's.
 */

import { atMost, delay } from '../sync/bounded-wait.js';
import { CLEAR_SLEEP_MS } from '../hsm/clear-wait.js';
import type { GuestImage } from '../hypervisor/boot/guest-image.js';
import { HYPERCALL_REFUSED } from '../hypervisor/hypercalls.js';
import type { HypervisorEvent } from '../hypervisor/hypervisor.js';
import { VmState } from '../hypervisor/vm-shared-state.js';
import { errorText } from '../io-request/error-text.js';
import { expectAccepted, stateError, type LifeCycle, type VmControls } from './life-cycle.js';
import type { Snapshot } from './snapshot/snapshot.js';
import type { VmEnd } from './user-vm-events.js';

/** If the guest resets more often than this in one second, it is in a loop and its VM ends. */
export const RESETS_PER_SECOND = 5;
/**
 * How long, in ms, each of the two pauses at the end of a VM may take. Then its threads are ended
 * in any case.
 */
export const PAUSE_LIMIT_MS = 2000;

const NO_IMAGE = 'a restored VM has no image to start again from';

/** By the state that it has. */
const WHY_NO_START = {
  [VmState.RUNNING]: ['it runs already', 'To start its guest again, reset it: that includes the start'],
  [VmState.PAUSED]: [
    'it is paused',
    'Reset it, which starts its guest again: as in ACRN, a paused guest does not go on',
  ],
  [VmState.POWERED_OFF]: ['it has ended', 'Create another one'],
} as const;

export class VmLifeCycle implements LifeCycle {
  /** Resolves once, when the VM has ended. */
  readonly ended: Promise<VmEnd>;
  readonly #vm: VmControls;
  /** Undefined: the guest's program is in the hypervisor (a script). */
  readonly #image: GuestImage | undefined;
  /** What the first start goes on from. Undefined after it, and for a VM that boots. */
  #snapshot: Snapshot | undefined;
  /** A restored VM without an image has nothing to start again from. */
  readonly #canReset: boolean;
  #resolveEnded: (end: VmEnd) => void = () => undefined;
  /** Resolves when the end begins, so that a step stops waiting for devices. */
  readonly #ending: Promise<void>;
  #resolveEnding: () => void = () => undefined;
  /** Settles when the step that was requested last is done. The next step begins then. */
  #lastStep: Promise<unknown> = Promise.resolve();
  #isEnding = false;
  #isStarting = false;
  /** vCPUs that halted with interrupts off, so that nothing can wake them. */
  readonly #halted = new Set<number>();
  /** Times of the guest's resets within the last second, in ms. */
  #recentResets: number[] = [];

  constructor(vm: VmControls, image: GuestImage | undefined, snapshot?: Snapshot) {
    this.#vm = vm;
    this.#image = image;
    this.#snapshot = snapshot;
    this.#canReset = snapshot === undefined || image !== undefined;
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve));
    this.#ending = new Promise((resolve) => (this.#resolveEnding = resolve));
  }

  get isEnding(): boolean {
    return this.#isEnding;
  }

  async start(): Promise<void> {
    if (this.#isStarting) throw stateError(this.#vm.name, 'it is starting already', 'Await the first start()');
    this.#isStarting = true;
    try {
      await this.#step(async () => {
        await Promise.race([this.#vm.devicesReady(), this.#ending]);
        this.#expectCreated();
        if (this.#snapshot === undefined) {
          this.#load('start');
          this.#start();
        } else this.#restore(this.#snapshot);
      });
    } finally {
      this.#isStarting = false;
    }
  }

  pause(): Promise<void> {
    return this.#step(async () => this.#expect('pause', await this.#pause()));
  }

  reset(): Promise<void> {
    if (!this.#canReset) return Promise.reject(stateError(this.#vm.name, NO_IMAGE, 'Restore it with an image'));
    return this.#step(() => this.#reset());
  }

  whileRunning<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
    return this.#step(() => {
      if (this.#isEnding || this.#vm.hypercalls.shared.vmState !== VmState.RUNNING)
        throw stateError(this.#vm.name, `it cannot ${what}: it does not run`, 'Start it first');
      return work();
    });
  }

  onHypervisorEvent(event: HypervisorEvent): void {
    this.#vm.emit(event);
    if (event.kind === 'halted') {
      // The VM is paused for a reset, which will wake the vCPU.
      if (this.#vm.hypercalls.shared.vmState !== VmState.RUNNING) return;
      this.#halted.add(event.vcpu);
      if (this.#halted.size < this.#vm.hypercalls.vcpuCount) return;
    }
    void this.end({ reason: event.kind, message: event.message });
  }

  guestPowerOff(reason: string): void {
    if (!this.#isEnding) this.#vm.sendPowerOff();
    void this.end({ reason: 'power-off', message: reason });
  }

  guestReset(reason: string): void {
    if (this.#isEnding) return;
    if (!this.#canReset) {
      void this.end({ reason: 'power-off', message: `${reason}, and ${NO_IMAGE}` });
      return;
    }
    const now = performance.now();
    this.#recentResets = [...this.#recentResets.filter((time) => now - time < 1000), now];
    if (this.#recentResets.length > RESETS_PER_SECOND) {
      void this.end({ reason: 'reset-loop', message: `${this.#recentResets.length} resets in a second (${reason})` });
      return;
    }
    this.#vm.emit({ kind: 'reset', reason });
    // The vCPU must not continue after this access.
    const paused = this.#pause();
    this.#step(async () => {
      await paused;
      await this.#reset();
    }).catch((error: unknown) => {
      // The vCPUs are paused, and no other step would resume them.
      void this.end({ reason: 'crashed', message: `the reset failed: ${errorText(error).message}` });
    });
  }

  /**
   * Loads the image into guest memory and sets the registers of vCPU 0 to its entry point. `during`
   * is for messages.
   */
  #load(during: string): void {
    const { hypercalls } = this.#vm;
    if (this.#image === undefined) return;
    this.#expect(during, hypercalls.setVcpuRegs(0, this.#image.load(hypercalls.memory)));
  }

  /**
   * A start that is refused must change nothing: the memory and the fault plan are those of a guest
   * that runs.
   */
  #expectCreated(): void {
    const state = this.#vm.hypercalls.shared.vmState;
    if (state === VmState.CREATED) return;
    const [fact, remedy] = WHY_NO_START[state];
    throw stateError(this.#vm.name, `it cannot start: ${fact}`, remedy);
  }

  /** A VM of which only a part was restored must not run: it ends. */
  #restore(snapshot: Snapshot): void {
    this.#snapshot = undefined;
    try {
      this.#vm.restoreDevices(snapshot);
      this.#start();
    } catch (error) {
      void this.end({ reason: 'crashed', message: `it could not be restored: ${errorText(error).message}` });
      throw error;
    }
  }

  #start(): void {
    this.#vm.onStarting();
    this.#expect('start', this.#vm.hypercalls.startVm());
  }

  #pause(): Promise<number> {
    this.#vm.onPausing();
    return this.#vm.hypercalls.pauseVm();
  }

  /**
   * ACRN's order: pause, let the clients finish their requests (clear), reset the devices, reset
   * the VM, load, start.
   */
  async #reset(): Promise<void> {
    const { hypercalls, requests } = this.#vm;
    // The operator's `reset` rejects, as if the hypervisor had refused.
    if (this.#isEnding) this.#expect('reset', HYPERCALL_REFUSED);
    this.#expect('pause', await this.#pause());
    await requests.clear();
    // Wait for device threads that are completing a request. If a slot were reused before, that
    // answer would go to its next request.
    while (!requests.withdraw()) {
      if (this.#isEnding) this.#expect('reset', HYPERCALL_REFUSED);
      await delay(CLEAR_SLEEP_MS);
    }
    // No await between here and resetVm, which first makes every slot FREE: no request of the old
    // run may be dispatched to a device that has been reset.
    this.#vm.resetDevices();
    this.#expect('reset', await hypercalls.resetVm());
    // Without an image the guest's program is not in memory, and what is there would not come back.
    if (this.#image !== undefined) hypercalls.memory.fill(0);
    this.#load('reset');
    this.#halted.clear();
    if (this.#isEnding) return;
    this.#start();
  }

  /** Ends the VM. Later calls wait for the first one. */
  async end(end: VmEnd): Promise<void> {
    if (this.#isEnding) {
      await this.ended;
      return;
    }
    this.#isEnding = true;
    this.#resolveEnding();
    const { hypercalls, module, requests } = this.#vm;
    // Pause at once, not as a step: the guest must do nothing after what ended it.
    const paused = this.#pause();
    await this.#step(async () => {
      await atMost(PAUSE_LIMIT_MS, paused);
      // Pause again: a reset that was in progress may have made the VM CREATED.
      await atMost(PAUSE_LIMIT_MS, this.#pause());
      // Each has set PAUSED before it waited, so that the VM can be destroyed even if a vCPU hangs.
      // Finish every open request while the vCPUs still exist.
      module.removeVm(requests);
      this.#vm.closeDevices();
      await hypercalls.destroyVm();
    });
    this.#vm.onEnd();
    this.#vm.emit({ kind: 'ended', end });
    this.#resolveEnded(end);
  }

  /** Runs `step` after all steps before it, even if those failed. */
  #step<T>(step: () => Promise<T>): Promise<T> {
    const done = this.#lastStep.then(step);
    this.#lastStep = done.catch(() => undefined);
    return done;
  }

  #expect(what: string, result: number): void {
    expectAccepted(this.#vm.name, what, result);
  }
}
