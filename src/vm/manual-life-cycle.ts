/**
 * ManualLifeCycle: the life cycle of a VM whose userspace decides each step, as in ACRN. It has no
 * policy. If a vCPU halts or faults, or if the guest resets or powers off its machine, an event is
 * emitted and the VM stays as it is.
 *
 * Called by: the ioctls of /dev/acrn_hsm (acrn-hsm/), for `startVm` to `destroyVm`, which make one
 * hypercall each; UserVm, for the methods of LifeCycle.
 * Threads: the Service VM's.
 */

import { CLEAR_SLEEP_MS } from '../hsm/clear-wait.js';
import { HYPERCALL_REFUSED } from '../hypervisor/hypercalls.js';
import type { HypervisorEvent } from '../hypervisor/hypervisor.js';
import { delay } from '../sync/bounded-wait.js';
import { expectAccepted, stateError, type LifeCycle, type VmControls } from './life-cycle.js';
import type { VmEnd } from './user-vm-events.js';

/**
 * Only a paused VM can be destroyed, and a reset in progress may make it CREATED between the pause
 * and the destruction. Then `end` pauses and destroys it once more.
 */
const DESTROY_ATTEMPTS = 2;

export class ManualLifeCycle implements LifeCycle {
  readonly ended: Promise<VmEnd>;
  readonly #vm: VmControls;
  #resolveEnded: (end: VmEnd) => void = () => undefined;
  #destroying: Promise<number> | undefined;
  /** Resets that wait for a client's thread. Meanwhile the VM cannot start. */
  #withdrawing = 0;
  #isEnding = false;

  constructor(vm: VmControls) {
    this.#vm = vm;
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve));
  }

  get isEnding(): boolean {
    return this.#isEnding;
  }

  /** Whether a destroy hypercall is in progress. */
  get isDestroying(): boolean {
    return this.#destroying !== undefined;
  }

  /** `startVm`, `pauseVm`, `resetVm` and `destroyVm` return the result of the hypercall. */
  startVm(): number {
    if (this.#withdrawing > 0) return HYPERCALL_REFUSED;
    const result = this.#vm.hypercalls.startVm();
    // The vCPUs run already, but their requests are dispatched in this thread, after this returns.
    if (result >= 0) this.#vm.onStarting();
    return result;
  }

  pauseVm(): Promise<number> {
    this.#vm.onPausing();
    return this.#vm.hypercalls.pauseVm();
  }

  async resetVm(): Promise<number> {
    const { hypercalls, requests, resetDevices } = this.#vm;
    const result = await hypercalls.resetVm();
    if (result < 0) return result;
    // Userspace keeps its clients, but a late answer must not reach a request of the next run. So
    // wait for a thread that is completing a request, as VmLifeCycle does.
    this.#withdrawing++;
    while (!this.#isEnding && !requests.withdraw()) await delay(CLEAR_SLEEP_MS);
    this.#withdrawing--;
    if (!this.#isEnding) resetDevices();
    return result;
  }

  destroyVm(end: VmEnd): Promise<number> {
    this.#destroying ??= this.#destroy(end).finally(() => (this.#destroying = undefined));
    return this.#destroying;
  }

  async start(): Promise<void> {
    await this.#vm.devicesReady();
    expectAccepted(this.#vm.name, 'start', this.startVm());
  }

  async pause(): Promise<void> {
    expectAccepted(this.#vm.name, 'pause', await this.pauseVm());
  }

  async reset(): Promise<void> {
    expectAccepted(this.#vm.name, 'pause', await this.pauseVm());
    await this.#vm.requests.clear();
    expectAccepted(this.#vm.name, 'reset', await this.resetVm());
  }

  whileRunning<Result>(what: string): Promise<Result> {
    const fact = `it cannot ${what}: its userspace has a part of its state`;
    return Promise.reject(stateError(this.#vm.name, fact, 'Save it there'));
  }

  async end(end: VmEnd): Promise<void> {
    for (let attempt = 0; attempt < DESTROY_ATTEMPTS && !this.#isEnding; attempt++) {
      await this.pauseVm();
      await this.destroyVm(end);
    }
    // The HSM must forget the VM even if the hypervisor refused to destroy it.
    this.#finish(end);
  }

  onHypervisorEvent(event: HypervisorEvent): void {
    this.#vm.emit(event);
  }

  guestPowerOff(reason: string): void {
    this.#vm.sendPowerOff();
    this.#vm.emit({ kind: 'power-off', reason });
  }

  guestReset(reason: string): void {
    this.#vm.emit({ kind: 'reset', reason });
  }

  async #destroy(end: VmEnd): Promise<number> {
    const result = await this.#vm.hypercalls.destroyVm();
    if (result >= 0) this.#finish(end);
    return result;
  }

  #finish(end: VmEnd): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    const { module, requests, closeDevices, onEnd, emit } = this.#vm;
    module.removeVm(requests);
    closeDevices();
    onEnd();
    emit({ kind: 'ended', end });
    this.#resolveEnded(end);
  }
}
