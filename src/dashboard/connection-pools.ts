/**
 * ConnectionPools: bounds the TCP connections of the live page's server that are not a page with
 * the token: silent ones, responses, WebSockets before `hello`, and scrapers of `/metrics`.
 *
 * A connection is in at most one pool. Each pool has its own limits (limits.ts), so that one kind
 * takes nothing from another, and a page that has sent the token is in none. A full pool evicts the
 * connection that has been in it longest, instead of refusing the new one: otherwise silent
 * connections would keep the owner out until they time out. The owner's own connection is the
 * newest, and needs its pool for a few milliseconds only.
 *
 * Called by: PageServer.
 * Threads: the Service VM's thread only.
 */

import type { Duplex } from 'node:stream';
import { startFairTimeout, type FairTimeout } from '../sync/fair-timeout.js';
import { backgroundTiming } from '../sync/host-timing.js';
import type { Timing } from '../sync/timer-lateness.js';
import { CONNECTION_POOLS } from './limits.js';

export type PoolName = keyof typeof CONNECTION_POOLS;

interface Place {
  readonly pool: PoolName;
  /** Its time limit: it does not count time in which this thread could not read the connection. */
  readonly timeout: FairTimeout;
}

export class ConnectionPools {
  readonly #timing: Timing;
  readonly #places = new Map<Duplex, Place>();
  /** The connections of each pool, in the order of their arrival in it. */
  readonly #pools: Readonly<Record<PoolName, Set<Duplex>>> = {
    silent: new Set(),
    response: new Set(),
    hello: new Set(),
    metrics: new Set(),
  };

  constructor(timing: Timing = backgroundTiming) {
    this.#timing = timing;
  }

  /** How many connections are in the pool. */
  count(pool: PoolName): number {
    return this.#pools[pool].size;
  }

  /** Moves a connection into a pool, which it leaves when it is closed, at the latest. */
  enter(connection: Duplex, pool: PoolName): void {
    if (this.#places.has(connection)) this.leave(connection);
    else connection.once('close', () => this.leave(connection));
    if (connection.destroyed) return;
    const { most, ms } = CONNECTION_POOLS[pool];
    const members = this.#pools[pool];
    members.add(connection);
    const timeout = startFairTimeout(() => connection.destroy(), ms, this.#timing);
    this.#places.set(connection, { pool, timeout });
    const [oldest] = members;
    if (oldest === undefined || members.size <= most) return;
    this.leave(oldest);
    oldest.destroy();
  }

  /** Removes a connection from its pool: it has shown the token, or was closed. */
  leave(connection: Duplex): void {
    const place = this.#places.get(connection);
    if (place === undefined) return;
    place.timeout.stop();
    this.#places.delete(connection);
    this.#pools[place.pool].delete(connection);
  }
}
