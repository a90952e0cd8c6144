/**
 * WatchedDevice: a device of `--device` whose module is loaded anew when one of its files changes
 * (`--watch`), also after the device was removed. Its results are events of the VM.
 *
 * Called by: session-start.ts, which attaches it; the reloads of its device, which report to it.
 * Threads: the Service VM's.
 */

import { host } from '../../host/current.js';
import type { ReloadObserver, ReloadOutcome } from '../../device-model/reload/reload-observer.js';
import { errorText } from '../../io-request/error-text.js';
import type { IoClient } from '../../hsm/io-client.js';
import type { UserVmEvent } from '../../vm/user-vm-events.js';
import type { UserVm } from '../../vm/user-vm.js';
import { attachDevice, type AttachedDevice } from '../attach-device.js';
import type { LocalDevice } from '../device-blame.js';
import type { DeviceOption } from '../device-option.js';
import { FileWatch } from './file-watch.js';

export class WatchedDevice implements ReloadObserver {
  readonly #vm: UserVm;
  readonly #option: DeviceOption;
  readonly #onAttached: (device: LocalDevice) => void;
  readonly #onClient: (client: IoClient) => void;
  readonly #watch: FileWatch;
  /** The same for all the devices that it attaches in turn. */
  readonly #local: LocalDevice;
  #device: AttachedDevice | undefined;
  /** When the change came that has no outcome yet, on the VM's clock. */
  #sinceMs: number | undefined;
  #isAttaching = false;
  /** How many changes came. */
  #changes = 0;
  #isOver = false;

  /**
   * `onAttached` gets a device in this thread, also each time that it is attached again. `onClient`
   * gets each client of the device.
   */
  constructor(
    vm: UserVm,
    option: DeviceOption,
    onAttached: (device: LocalDevice) => void,
    onClient: (client: IoClient) => void = () => undefined,
  ) {
    this.#onClient = onClient;
    this.#vm = vm;
    this.#option = option;
    this.#onAttached = onAttached;
    this.#watch = new FileWatch({
      clock: vm.clock,
      onChanged: (sinceMs) => this.#changed(sinceMs),
      onFailed: (message) => this.#emit({ kind: 'device-report', device: this.#name, message }),
    });
    const nameOf = (): string => this.#name;
    this.#local = {
      get name() {
        return nameOf();
      },
      module: option.module,
      detach: () => this.#device?.detach(),
    };
  }

  /** Rejects as `attachDevice`. */
  async attach(): Promise<void> {
    const vm = this.#vm;
    this.#isAttaching = true;
    try {
      this.#device = await attachDevice(vm, this.#option, this);
    } catch (error) {
      this.#watch.close();
      throw error;
    }
    this.#isAttaching = false;
    if (this.#device.isLocal) this.#onAttached(this.#local);
    this.#onClient(this.#device.client);
    const stopListening = vm.onEvent((event) => this.#onEvent(event));
    void vm.ended.then(() => {
      this.#isOver = true;
      stopListening();
      this.#watch.close();
    });
    // The file changed while its device was created.
    if (this.#sinceMs !== undefined) this.#changed(this.#sinceMs);
  }

  onFiles(files: readonly string[], isComplete: boolean): void {
    if (!this.#isOver) this.#watch.setFiles(files, isComplete);
  }

  onOutcome(outcome: ReloadOutcome): void {
    const { clock } = this.#vm;
    const ms = clock.now() - (this.#sinceMs ?? clock.now());
    this.#sinceMs = undefined;
    const device = this.#name;
    if (outcome.kind === 'reloaded') this.#emit({ ...outcome, kind: 'device-reloaded', device, ms });
    else this.#emit({ ...outcome, kind: 'reload-failed', device });
  }

  get #name(): string {
    return this.#device?.name ?? this.#option.module.pathname.replace(/^.*\//, '');
  }

  #emit(event: UserVmEvent): void {
    if (!this.#isOver) this.#vm.emit(event);
  }

  #changed(sinceMs: number): void {
    this.#sinceMs = sinceMs;
    this.#changes++;
    if (this.#isAttaching) return;
    if (this.#device?.isAttached === true) this.#device.reload();
    else void this.#attachAgain();
  }

  /** A device that is removed while its reload waits for its open access must come back as well. */
  #onEvent({ kind }: UserVmEvent): void {
    const isRemoval =
      kind === 'client-late' || kind === 'client-failed' || kind === 'device-error' || kind === 'device-lost';
    if (!isRemoval || this.#sinceMs === undefined) return;
    // The event comes before the removal is complete.
    void host.turn().then(() => {
      const isPending = this.#sinceMs !== undefined && !this.#isAttaching && !this.#isOver;
      if (isPending && this.#device?.isAttached === false) void this.#attachAgain();
    });
  }

  async #attachAgain(): Promise<void> {
    this.#isAttaching = true;
    const changes = this.#changes;
    let outcome: ReloadOutcome;
    try {
      // Frees its range, and closes it.
      this.#device?.detach();
      this.#device = await attachDevice(this.#vm, this.#option, this);
      this.#onClient(this.#device.client);
      await this.#device.ready;
      if (this.#device.isLocal) this.#onAttached(this.#local);
      outcome = { kind: 'reloaded', isStateCarried: false, note: 'it had been removed' };
    } catch (error) {
      outcome = { kind: 'failed', ...errorText(error) };
    }
    this.#isAttaching = false;
    if (this.#isOver) return;
    if (changes !== this.#changes) this.#changed(this.#sinceMs ?? this.#vm.clock.now());
    else this.onOutcome(outcome);
  }
}
