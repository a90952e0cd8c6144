/**
 * DeviceReloader: loads a device's module anew and exchanges the device at a moment when no access
 * is open in it. Until then, and if anything fails, the old one runs on.
 *
 * Called by: reload-device.ts, which makes one for each device or card.
 * Threads: the device's.
 */

import { errorText } from '../../io-request/error-text.js';
import { carryState } from './carry-state.js';
import { Gate } from './gate.js';
import type { Generation, Reloadable, Reloaded } from './generation.js';
import type { ReloadOutcome } from './reload-observer.js';

export interface DeviceReloaderOptions<T extends Reloaded> {
  readonly target: Reloadable<T>;
  /** Loads the module anew and creates the device behind `gate`. Rejects with the reason. */
  readonly create: (gate: Gate) => Promise<T>;
  readonly onOutcome: (outcome: ReloadOutcome) => void;
  /** The `close` of a device that was replaced or discarded has thrown. */
  readonly onCloseError: (error: unknown) => void;
}

export class DeviceReloader<T extends Reloaded> {
  readonly #options: DeviceReloaderOptions<T>;
  #isRunning = false;
  /** How often a reload was asked for. Only the latest module counts. */
  #asked = 0;

  constructor(options: DeviceReloaderOptions<T>) {
    this.#options = options;
  }

  /** Returns at once. The outcome is that of this call and of those before it. */
  reload(): void {
    this.#asked++;
    if (!this.#isRunning) void this.#run();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    for (;;) {
      const asked = this.#asked;
      const outcome = await this.#attempt(() => asked !== this.#asked);
      if (asked !== this.#asked) continue;
      this.#isRunning = false;
      if (outcome !== undefined) this.#options.onOutcome(outcome);
      return;
    }
  }

  /** Returns undefined if the device was removed, or if `isOutdated`. Never rejects. */
  async #attempt(isOutdated: () => boolean): Promise<ReloadOutcome | undefined> {
    const { target, create } = this.#options;
    const gate = new Gate();
    let next: Generation<T> | undefined;
    let outcome: ReloadOutcome | undefined;
    try {
      next = { device: await create(gate), gate };
      const refusal = target.refusal(next.device);
      if (refusal !== undefined) outcome = { kind: 'failed', message: refusal };
      else
        await target.accesses.whenQuiet(() => {
          if (!isOutdated()) outcome = this.#exchange(next as Generation<T>);
        });
    } catch (error) {
      outcome = { kind: 'failed', ...errorText(error) };
    }
    if (!gate.isOpen) {
      gate.end();
      if (next !== undefined) void this.#close(next.device);
    }
    return outcome;
  }

  /** Carries the state before the exchange: a successor that throws must not be the current one. */
  #exchange(next: Generation<T>): ReloadOutcome {
    const { target } = this.#options;
    const old = target.current;
    target.connectNext(next);
    const note = carryState(old.device, next.device);
    target.exchange(next);
    next.gate.open(old.gate);
    void this.#close(old.device);
    return note === undefined
      ? { kind: 'reloaded', isStateCarried: true }
      : { kind: 'reloaded', isStateCarried: false, note };
  }

  async #close(device: T): Promise<void> {
    try {
      await device.close?.();
    } catch (error) {
      this.#options.onCloseError(error);
    }
  }
}
