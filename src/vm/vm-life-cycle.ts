/**
 * VmLifeCycle: upcall's own policy for one User VM. Steps run one after the other, each with a
 * limit for what it waits for outside. A guest's reset restarts the VM. Its power-off, a crash or a
 * triple fault ends the VM, and so do all vCPUs halted for good. Whatever comes together, the VM
 * ends once.
 *
 * Called by: UserVm, for the operator, the guest and the hypervisor.
 */

import { atMost, delay } from '../sync/bounded-wait.js';
import { CLEAR_SLEEP_MS } from '../hsm/clear-wait.js';
import type { GuestImage } from '../hypervisor/boot/guest-image.js';
import { HYPERCALL_REFUSED } from '../hypervisor/hypercalls.js';
import type { HypervisorEvent } from '../hypervisor/hypervisor.js';
import { VmState } from '../hypervisor/vm-shared-state.js';
import { errorText } from '../io-request/error-text.js';
import { expectAccepted, type LifeCycle, type LifeCycleParts } from './life-cycle.js';
import type { VmEnd } from './user-vm-events.js';

/** Resets within a second above which the guest is in a loop and its VM ends. */
export const RESETS_PER_SECOND = 5;
/** How long the end of a VM waits for a vCPU to stop before its thread is terminated. */
export const PAUSE_LIMIT_MS = 2000;

export class VmLifeCycle implements LifeCycle {
  /** Resolves once, when the VM has ended. */
  readonly ended: Promise<VmEnd>;
  readonly #parts: LifeCycleParts;
  /** Undefined: the VM runs what its hypervisor has. */
  readonly #image: GuestImage | undefined;
  #resolveEnded: (end: VmEnd) => void = () => undefined;
  /** Resolves when the end begins: no step waits beyond it for something outside. */
  readonly #ending: Promise<void>;
  #resolveEnding: () => void = () => undefined;
  /** Steps wait for each other here. */
  #last: Promise<unknown> = Promise.resolve();
  #isEnding = false;
  /** vCPUs that nothing can wake; the VM has ended when all have. */
  readonly #halted = new Set<number>();
  #recentResets: number[] = [];

  constructor(parts: LifeCycleParts, image: GuestImage | undefined) {
    this.#parts = parts;
    this.#image = image;
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve));
    this.#ending = new Promise((resolve) => (this.#resolveEnding = resolve));
  }

  get isEnding(): boolean {
    return this.#isEnding;
  }

  start(): Promise<void> {
    return this.#step(async () => {
      await Promise.race([this.#parts.devicesReady(), this.#ending]);
      this.#load();
      this.#start();
    });
  }

  pause(): Promise<void> {
    return this.#step(async () => this.#expect('pause', await this.#pause()));
  }

  reset(): Promise<void> {
    return this.#step(() => this.#reset());
  }

  onHypervisorEvent(event: HypervisorEvent): void {
    this.#parts.emit(event);
    if (event.kind === 'halted') {
      // Paused for a reset, which will wake it.
      if (this.#parts.hypercalls.shared.vmState !== VmState.RUNNING) return;
      this.#halted.add(event.vcpu);
      if (this.#halted.size < this.#parts.hypercalls.vcpuCount) return;
    }
    void this.end({ reason: event.kind, message: event.message });
  }

  guestPowerOff(reason: string): void {
    if (!this.#isEnding) this.#parts.sendPowerOff();
    void this.end({ reason: 'power-off', message: reason });
  }

  guestReset(reason: string): void {
    if (this.#isEnding) return;
    const now = performance.now();
    this.#recentResets = [...this.#recentResets.filter((time) => now - time < 1000), now];
    if (this.#recentResets.length > RESETS_PER_SECOND) {
      void this.end({ reason: 'reset-loop', message: `${this.#recentResets.length} resets in a second (${reason})` });
      return;
    }
    this.#parts.emit({ kind: 'reset', reason });
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

  #load(): void {
    const { hypercalls } = this.#parts;
    if (this.#image === undefined) return;
    this.#expect('set the registers', hypercalls.setVcpuRegs(0, this.#image.load(hypercalls.memory)));
  }

  #start(): void {
    this.#parts.starting();
    this.#expect('start', this.#parts.hypercalls.startVm());
  }

  #pause(): Promise<number> {
    this.#parts.pausing();
    return this.#parts.hypercalls.pauseVm();
  }

  /**
   * ACRN's order: pause, clear what the clients have, reset the devices, reset the VM, load, start.
   */
  async #reset(): Promise<void> {
    const { hypercalls, requests } = this.#parts;
    if (this.#isEnding) this.#expect('reset', HYPERCALL_REFUSED);
    this.#expect('pause', await this.#pause());
    await requests.clear();
    // Wait for threads that are completing a request: a slot that is reused before would get that
    // answer.
    while (!requests.withdraw()) {
      if (this.#isEnding) this.#expect('reset', HYPERCALL_REFUSED);
      await delay(CLEAR_SLEEP_MS);
    }
    // No await from here until the slots are stamped: nothing must be dispatched in between.
    this.#parts.resetDevices();
    this.#expect('reset', await hypercalls.resetVm());
    if (this.#image !== undefined) hypercalls.memory.fill(0);
    this.#load();
    this.#halted.clear();
    if (this.#isEnding) return;
    this.#start();
  }

  /** Ends the VM; later calls wait for the first one. */
  async end(end: VmEnd): Promise<void> {
    if (this.#isEnding) {
      await this.ended;
      return;
    }
    this.#isEnding = true;
    this.#resolveEnding();
    const { hypercalls, module, requests } = this.#parts;
    // At once: the guest must do nothing after what ended it.
    const paused = this.#pause();
    await this.#step(async () => {
      await atMost(PAUSE_LIMIT_MS, paused);
      // A reset in progress made it CREATED.
      await atMost(PAUSE_LIMIT_MS, this.#pause());
      // Finish every open request while the vCPUs still exist.
      module.removeVm(requests);
      this.#parts.closeDevices();
      await hypercalls.destroyVm();
    });
    this.#parts.onEnd();
    this.#parts.emit({ kind: 'ended', end });
    this.#resolveEnded(end);
  }

  #step<T>(step: () => Promise<T>): Promise<T> {
    const done = this.#last.then(step);
    this.#last = done.catch(() => undefined);
    return done;
  }

  #expect(what: string, result: number): void {
    expectAccepted(this.#parts.name, what, result);
  }
}
