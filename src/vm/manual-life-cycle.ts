/**
 * ManualLifeCycle: single steps of a VM that its userspace runs, one hypercall each.
 *
 * Called by: the ioctls of /dev/acrn_hsm, which return the hypercalls' results; UserVm, for its
 * operator.
 *
 * It has no policy. A vCPU that halts or faults is reported and the VM stays as it is, and so is a
 * guest that resets or powers off its machine: as in ACRN, userspace decides what follows.
 */

import type { HypervisorEvent } from '../hypervisor/hypervisor.js';
import { expectAccepted, type LifeCycle, type LifeCycleParts } from './life-cycle.js';
import type { VmEnd } from './user-vm-events.js';

/** A reset in progress may make the VM CREATED between the pause and the destruction. */
const DESTROY_ATTEMPTS = 2;

export class ManualLifeCycle implements LifeCycle {
  readonly ended: Promise<VmEnd>;
  readonly #parts: LifeCycleParts;
  #resolveEnded: (end: VmEnd) => void = () => undefined;
  #destroying: Promise<number> | undefined;
  #isEnding = false;

  constructor(parts: LifeCycleParts) {
    this.#parts = parts;
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve));
  }

  get isEnding(): boolean {
    return this.#isEnding;
  }

  get isDestroying(): boolean {
    return this.#destroying !== undefined;
  }

  /** These four return what the hypercall returned. */
  startVm(): number {
    const result = this.#parts.hypercalls.startVm();
    // No request is dispatched before this returns: that happens in this thread.
    if (result >= 0) this.#parts.starting();
    return result;
  }

  pauseVm(): Promise<number> {
    this.#parts.pausing();
    return this.#parts.hypercalls.pauseVm();
  }

  async resetVm(): Promise<number> {
    const { hypercalls, requests, resetDevices } = this.#parts;
    const result = await hypercalls.resetVm();
    if (result < 0) return result;
    // The HSM's state survives, but a late answer must not reach the reset VM's requests.
    requests.withdraw();
    resetDevices();
    return result;
  }

  destroyVm(end: VmEnd): Promise<number> {
    this.#destroying ??= this.#destroy(end).finally(() => (this.#destroying = undefined));
    return this.#destroying;
  }

  async start(): Promise<void> {
    await this.#parts.devicesReady();
    expectAccepted(this.#parts.name, 'start', this.startVm());
  }

  async pause(): Promise<void> {
    expectAccepted(this.#parts.name, 'pause', await this.pauseVm());
  }

  async reset(): Promise<void> {
    expectAccepted(this.#parts.name, 'pause', await this.pauseVm());
    await this.#parts.requests.clear();
    expectAccepted(this.#parts.name, 'reset', await this.resetVm());
  }

  async end(end: VmEnd): Promise<void> {
    for (let attempt = 0; attempt < DESTROY_ATTEMPTS && !this.#isEnding; attempt++) {
      await this.pauseVm();
      await this.destroyVm(end);
    }
    // If the hypervisor refused to destroy it, the HSM must still forget it.
    this.#finish(end);
  }

  onHypervisorEvent(event: HypervisorEvent): void {
    this.#parts.emit(event);
  }

  guestPowerOff(reason: string): void {
    this.#parts.sendPowerOff();
    this.#parts.emit({ kind: 'power-off', reason });
  }

  guestReset(reason: string): void {
    this.#parts.emit({ kind: 'reset', reason });
  }

  async #destroy(end: VmEnd): Promise<number> {
    const result = await this.#parts.hypercalls.destroyVm();
    if (result >= 0) this.#finish(end);
    return result;
  }

  #finish(end: VmEnd): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    const { module, requests, closeDevices, onEnd, emit } = this.#parts;
    module.removeVm(requests);
    closeDevices();
    onEnd();
    emit({ kind: 'ended', end });
    this.#resolveEnded(end);
  }
}
