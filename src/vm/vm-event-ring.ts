/**
 * VmEventRing: what a User VM's guest did to its clock and its power, in ACRN's words: VM events in ring 65, where
 * somebody has set it up with the VM's hypercalls. In ACRN the hypervisor has the clock and so has the news; here the
 * devices have it, and UserVm hands it on.
 */

import { POWER_OFF, rtcChanged, AcrnVmEvents } from '../hsm/acrn-vm-events.js';
import type { AsyncIoHypercalls } from '../hypervisor/async-io-hypercalls.js';
import type { UserVmEvent } from './user-vm-events.js';

export class VmEventRing {
  readonly #events: AcrnVmEvents | undefined;

  /** Undefined: a hypervisor without the ring. */
  constructor(asyncIo: AsyncIoHypercalls | undefined) {
    if (asyncIo !== undefined) this.#events = new AcrnVmEvents(asyncIo);
  }

  readonly onEvent = (event: UserVmEvent): void => {
    if (event.kind === 'rtc-changed') this.#events?.send(rtcChanged(event.lastTime, event.delta));
  };

  /** The guest powers off; its VM still exists. */
  powerOff(): void {
    this.#events?.send(POWER_OFF);
  }
}
