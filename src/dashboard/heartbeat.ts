/**
 * Heartbeat: notices that the peer of a WebSocket is gone although its connection is not closed: a
 * network that was lost, or a computer that sleeps. TCP alone needs a quarter of an hour for that
 * while data is under way.
 *
 * Each period it sends a ping, which a browser answers by itself. A peer that has neither answered
 * nor sent anything by the end of the period is gone, unless it is slow and still takes data: then
 * the ping is behind that data.
 *
 * Called by: PageConnection.
 */

import type { WebSocket } from 'ws';
import { startFairTimeout, type FairTimeout } from '../sync/fair-timeout.js';
import type { Timing } from '../sync/timer-lateness.js';
import { HEARTBEAT_MS } from './limits.js';

export interface HeartbeatOptions {
  readonly socket: Pick<WebSocket, 'ping' | 'on' | 'bufferedAmount'>;
  /** How many bytes the peer's connection has accepted so far. */
  readonly takenBytes: () => number;
  /** Called once, when the peer is gone. */
  readonly onGone: () => void;
  readonly timing?: Timing | undefined;
}

export class Heartbeat {
  readonly #options: HeartbeatOptions;
  #timeout: FairTimeout | undefined;
  /** Whether the peer has sent anything since the last ping. */
  #hasReceived = false;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    const receive = (): void => void (this.#hasReceived = true);
    options.socket.on('pong', receive);
    options.socket.on('message', receive);
  }

  /** Begins the first period. Call it once the page has sent the token. */
  start(): void {
    const { socket, takenBytes, onGone, timing } = this.#options;
    this.#hasReceived = false;
    // Unsent data is ahead of the ping: while the peer takes it, no answer can be expected.
    const isBehind = socket.bufferedAmount > 0;
    const takenBefore = takenBytes();
    socket.ping();
    this.#timeout = startFairTimeout(
      () => {
        const isTaking = isBehind && takenBytes() > takenBefore;
        if (this.#hasReceived || isTaking) this.start();
        else onGone();
      },
      HEARTBEAT_MS,
      timing,
    );
  }

  stop(): void {
    this.#timeout?.stop();
    this.#timeout = undefined;
  }
}
