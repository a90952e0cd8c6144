/**
 * VmClients: the I/O clients of one User VM, from their making to their end. VmRequests asks who serves a request, and says
 * which client failed or is late; a client that goes, for whatever reason, leaves no request unfinished.
 */

import { errorText } from '../io-request/error-text.js';
import { AddressMap } from './address-map.js';
import type { AddressRange } from './address-range.js';
import type { AssignedRequest } from './assigned-request.js';
import type { Assignments } from './assignments.js';
import type { HsmObserver } from './hsm-observer.js';
import type { IoClient } from './io-client.js';
import type { ClientFinisher } from './request-finisher.js';
import type { LatePolicy } from './time-limit.js';

const EEXIST = -17;

export interface VmClientsOptions {
  readonly vmId: number;
  readonly assignments: Assignments;
  readonly observer: HsmObserver;
  /** For clients in other threads; undefined where the hypervisor has nothing that they could share. */
  readonly finisher: ClientFinisher | undefined;
  /** What `late` tells, and does. */
  readonly limitMs: number;
  readonly latePolicy: LatePolicy;
}

export class VmClients {
  readonly #options: VmClientsOptions;
  readonly #map = new AddressMap<IoClient>();
  #default: IoClient | undefined;
  #isRelaying = false;

  constructor(options: VmClientsOptions) {
    this.#options = options;
  }

  /** Newest first, without the default client. */
  get all(): readonly IoClient[] {
    return this.#map.clients();
  }

  get default(): IoClient | undefined {
    return this.#default;
  }

  /** Whose range the request is in; undefined: it is the default client's. */
  find({ type, addressLow, addressHigh, size, sizeHigh }: AssignedRequest): IoClient | undefined {
    return this.#map.find(type, addressLow, addressHigh, size, sizeHigh);
  }

  add(client: IoClient, ranges: readonly AddressRange[]): void {
    // First, because it may throw; then nothing was added.
    this.#connect(client);
    this.#map.addClient(client);
    for (const range of ranges) this.#map.addRange(client, range);
  }

  /** −EEXIST when there is one. */
  addDefault(client: IoClient): number {
    if (this.#default !== undefined) return EEXIST;
    this.#connect(client);
    this.#default = client;
    return 0;
  }

  addRange(client: IoClient, range: AddressRange): boolean {
    return this.#map.addRange(client, range);
  }

  removeRange(client: IoClient, range: AddressRange): boolean {
    return this.#map.removeRange(client, range);
  }

  ranges(client: IoClient): readonly AddressRange[] {
    return this.#map.ranges(client);
  }

  /** Whether clients in threads of their own have to answer by way of the Service VM's thread. */
  relay(on: boolean): void {
    if (on === this.#isRelaying) return;
    this.#isRelaying = on;
    for (const client of this.#map.clients()) client.relay?.(on);
    this.#default?.relay?.(on);
  }

  /** Takes a client out. Its unfinished requests finish as all ones: nobody else can answer them. */
  destroy(client: IoClient): void {
    if (this.#default === client) this.#default = undefined;
    else this.#map.removeClient(client);
    try {
      client.disconnected?.();
    } finally {
      this.finishAllOf(client);
    }
  }

  /** See Assignments: also for a client whose thread has ended. */
  finishAllOf(client: IoClient): void {
    const { observer, assignments } = this.#options;
    observer.forcing?.(true);
    assignments.finishAllOf(client);
    observer.forcing?.(false);
  }

  /** A client that cannot do its work loses its requests and its ranges. */
  fail(client: IoClient, error: unknown): void {
    this.#expel(client);
    this.#emitFailed(client, error);
  }

  /** Whether the client of slot `vcpu`, which has had its request for so long, keeps it. */
  late(vcpu: number, elapsedMs: number): boolean {
    const { vmId, assignments, observer, limitMs, latePolicy: policy } = this.#options;
    const client = assignments.owner(vcpu);
    if (client === undefined) return false;
    const request = assignments.request(vcpu).describe();
    // Asked before it is taken out, told afterwards: whoever hears it may put another client there at once.
    const position = client.explain?.(vcpu);
    if (policy === 'all-ones') this.#expel(client);
    observer.event({
      kind: 'client-late',
      vmId,
      client: client.name,
      vcpu,
      request,
      limitMs,
      elapsedMs,
      policy,
      ...position,
    });
    return policy === 'wait';
  }

  /** The VM is gone: takes out all, the default client too. */
  close(): void {
    for (const client of this.#map.clients()) this.#remove(client);
    if (this.#default !== undefined) this.#remove(this.#default);
  }

  /** The default client stays: without one, unclaimed accesses would wait for ever. */
  #expel(client: IoClient): void {
    if (client === this.#default) this.finishAllOf(client);
    else this.#remove(client);
  }

  /** For clients that nobody asked to destroy here: one that throws at its end keeps nobody from going on. */
  #remove(client: IoClient): void {
    try {
      this.destroy(client);
    } catch (error) {
      this.#emitFailed(client, error);
    }
  }

  #emitFailed(client: IoClient, error: unknown): void {
    const { vmId, observer } = this.#options;
    observer.event({ kind: 'client-failed', vmId, client: client.name, ...errorText(error) });
  }

  #connect(client: IoClient): void {
    const { finisher } = this.#options;
    if (finisher !== undefined) client.connect?.(finisher);
    if (this.#isRelaying) client.relay?.(true);
  }
}
