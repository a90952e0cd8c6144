/**
 * FaultyPort: the port of a network card whose frames fail as the rules say, in both ways. It is
 * between the card and the real port.
 *
 * Called by: the virtio network card, and the real port. Made by FaultInjection. Threads: the
 * Service VM's.
 */

import type { NetworkPort, NetworkReceiver } from '../device-model/network/network-port.js';
import type { FrameWay, NetFault } from './fault-rule.js';
import type { FaultTrigger } from './fault-trigger.js';
import { flipBit } from './flip-bit.js';

/**
 * Limit of the delayed and duplicated frames of one card that are on their way. Further ones are
 * lost, as in a full switch.
 */
export const MAX_LATE_FRAMES = 1024;

/** What the ports of a VM use of its FaultInjection. */
export interface PortFaults {
  /** The faults of this frame. Counts and emits them. */
  frameHits(name: string, way: FrameWay, bytes: number): readonly FaultTrigger<NetFault>[];
  /** Resolves after `ms`, or when the VM is reset or ends. */
  wait(ms: number): Promise<void>;
}

export class FaultyPort implements NetworkPort {
  readonly #name: string;
  readonly #port: NetworkPort;
  readonly #faults: PortFaults;
  #late = 0;
  #isClosed = false;

  constructor(name: string, port: NetworkPort, faults: PortFaults) {
    this.#name = name;
    this.#port = port;
    this.#faults = faults;
  }

  connect(receiver: NetworkReceiver): void {
    this.#port.connect({
      receive: (frame) => this.#pass('receive', frame, (passed) => receiver.receive(passed)),
      setLink: (isUp) => receiver.setLink(isUp),
    });
  }

  send(frame: Uint8Array): void {
    this.#pass('send', frame, (passed) => this.#port.send(passed));
  }

  close(): Promise<void> {
    this.#isClosed = true;
    return this.#port.close();
  }

  #pass(way: FrameWay, frame: Uint8Array, pass: (frame: Uint8Array) => void): void {
    const hits = this.#faults.frameHits(this.#name, way, frame.length);
    if (hits.length === 0) {
      pass(frame);
      return;
    }
    // The bytes belong to the caller, and are valid only during the call.
    const copy = frame.slice();
    let delayMs = 0;
    let isLost = false;
    for (const trigger of hits) {
      const { effect } = trigger.rule;
      if (effect.kind === 'drop') isLost = true;
      else if (effect.kind === 'flip') flipBit(copy, trigger);
      else if (effect.kind === 'delay') delayMs += effect.ms;
      else this.#later(effect.ms, () => pass(copy));
    }
    if (isLost) return;
    if (delayMs === 0) pass(copy);
    else this.#later(delayMs, () => pass(copy));
  }

  /**
   * At a reset of the VM, frames on their way come at once. They are lost if the card is closed.
   */
  #later(ms: number, pass: () => void): void {
    if (this.#late >= MAX_LATE_FRAMES) return;
    this.#late++;
    void this.#faults.wait(ms).then(() => {
      this.#late--;
      if (!this.#isClosed) pass();
    });
  }
}
