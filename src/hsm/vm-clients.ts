/**
 * VmClients: the I/O clients of one User VM and their address ranges. A removed client leaves no
 * request unfinished.
 *
 * Called by: VmRequests, which looks up the client of a request and reports a client that failed or
 * is late; UserVm and its parts (vm/) and the control interface, which add and remove clients.
 * Callers must: pause the worker around `destroy` (HypervisorServiceModule.destroyClient).
 */

import { Errno } from '../io-request/errno.js';
import { errorText } from '../io-request/error-text.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { AddressMap, MAX_RANGES } from './address-map.js';
import type { AddressRange } from './address-range.js';
import type { AssignedRequest } from './assigned-request.js';
import type { Assignments } from './assignments.js';
import type { HsmObserver } from './hsm-observer.js';
import type { IoClient } from './io-client.js';
import type { ClientFinisher } from './request-finisher.js';
import type { LatePolicy } from './late-policy.js';
import type { SlotAssignment } from './slot-assignment.js';

export interface VmClientsOptions {
  readonly vmId: number;
  readonly assignments: Assignments;
  readonly observer: HsmObserver;
  /** For clients in other threads. Undefined if the hypervisor's state cannot be shared. */
  readonly finisher: ClientFinisher | undefined;
  /** The time limit of a request, for reports. */
  readonly limitMs: number;
  readonly latePolicy: LatePolicy;
}

export class VmClients {
  readonly #options: VmClientsOptions;
  readonly #map = new AddressMap<IoClient>();
  #default: IoClient | undefined;
  #isRelaying = false;
  #removals = 0;
  /**
   * Called after a client or a range was added or removed, even if no range has changed. The callee
   * may change ranges. Set by the VM's PCI cards, which place their BARs again where other ranges
   * allow (vm/vm-cards.ts).
   */
  onRangesChanged: () => void = () => undefined;

  constructor(options: VmClientsOptions) {
    this.#options = options;
  }

  /** For clients in other threads. Undefined if the hypervisor's state cannot be shared. */
  get finisher(): ClientFinisher | undefined {
    return this.#options.finisher;
  }

  /** Newest first, without the default client. */
  get all(): readonly IoClient[] {
    return this.#map.clients();
  }

  /**
   * How many clients were removed so far. Attachments (vm/attachments.ts) compares it to see
   * whether one was.
   */
  get removals(): number {
    return this.#removals;
  }

  /** Whether the client was added and not removed, as the default client or another. */
  has(client: IoClient): boolean {
    return client === this.#default || this.#map.has(client);
  }

  get default(): IoClient | undefined {
    return this.#default;
  }

  /** The client whose range contains the request. Undefined: the default client's. */
  find({ type, addressLow, addressHigh, size, sizeHigh }: AssignedRequest): IoClient | undefined {
    return this.#map.find(type, addressLow, addressHigh, size, sizeHigh);
  }

  /**
   * Throws DEVICE_INVALID if the VM has this client, VM_LIMIT if it cannot have that many more
   * ranges, and what `connect` throws.
   */
  add(client: IoClient, ranges: readonly AddressRange[] = []): void {
    if (this.has(client))
      throw new UpcallError('DEVICE_INVALID', `${client.name}: the VM has this client already`, {
        errno: Errno.EEXIST,
        remedy: 'Add its ranges by addRange',
      });
    if (ranges.length > this.#map.room)
      throw new UpcallError('VM_LIMIT', `${client.name}: a VM has at most ${MAX_RANGES} ranges, over all clients`, {
        remedy: 'Merge ranges, or remove clients',
      });
    // Connect before adding: it may throw, and then nothing was added.
    this.#connect(client);
    this.#map.addClient(client);
    for (const range of ranges) this.#map.addRange(client, range);
    this.onRangesChanged();
  }

  /** Returns −EEXIST if there is a default client, otherwise 0. Throws what `connect` throws. */
  addDefault(client: IoClient): number {
    if (this.#default !== undefined) return Errno.EEXIST;
    this.#connect(client);
    this.#default = client;
    return 0;
  }

  /** Returns false if the VM does not have this client or has MAX_RANGES ranges. */
  addRange(client: IoClient, range: AddressRange): boolean {
    const isAdded = this.#map.addRange(client, range);
    this.onRangesChanged();
    return isAdded;
  }

  removeRange(client: IoClient, range: AddressRange): boolean {
    const isRemoved = this.#map.removeRange(client, range);
    this.onRangesChanged();
    return isRemoved;
  }

  ranges(client: IoClient): readonly AddressRange[] {
    return this.#map.ranges(client);
  }

  /**
   * Whether clients in threads of their own must answer through the Service VM's thread from now
   * on.
   */
  relay(on: boolean): void {
    if (on === this.#isRelaying) return;
    this.#isRelaying = on;
    for (const client of this.#map.clients()) client.relay?.(on);
    this.#default?.relay?.(on);
  }

  /**
   * Removes a client. Its unfinished requests finish as all ones, because no other client can
   * answer them. Throws afterwards what the client's `disconnected` throws. Does nothing for a
   * client that was removed before.
   */
  destroy(client: IoClient): void {
    if (!this.has(client)) return;
    this.#removals++;
    if (this.#default === client) this.#default = undefined;
    else this.#map.removeClient(client);
    try {
      client.disconnected?.();
    } finally {
      this.finishAllOf(client);
      this.onRangesChanged();
    }
  }

  /** Also for a removed client whose thread has ended, see SlotAssignment.finishForced. */
  finishAllOf(client: IoClient): void {
    const { observer, assignments } = this.#options;
    observer.forcing?.(true);
    assignments.finishAllOf(client);
    observer.forcing?.(false);
  }

  /**
   * Removes a client that threw or reported an error, and reports that. Of the default client, only
   * the requests finish.
   */
  fail(client: IoClient, error: unknown): void {
    this.#expel(client);
    this.#emitFailed(client, error);
  }

  /**
   * Reports a client that has had its request for `elapsedMs`. Under the policy `all-ones`, removes
   * it first, or finishes the requests of the default client. Returns whether it keeps the request.
   */
  late({ vcpu, owner: client, request: assigned }: SlotAssignment, elapsedMs: number): boolean {
    const { vmId, observer, limitMs, latePolicy: policy } = this.#options;
    if (client === undefined) return false;
    const request = assigned.describe();
    // Ask before the client is removed. Report afterwards: an observer may add another client at
    // once.
    const position = client.explain?.(vcpu);
    const mark = this.#defaultMark(client);
    if (policy === 'all-ones') this.#expel(client);
    observer.event({
      kind: 'client-late',
      vmId,
      client: client.name,
      ...mark,
      vcpu,
      request,
      limitMs,
      elapsedMs,
      policy,
      ...position,
    });
    return policy === 'wait';
  }

  /** When the VM ends: removes every client, the default client too. */
  close(): void {
    for (const client of this.#map.clients()) this.#remove(client);
    if (this.#default !== undefined) this.#remove(this.#default);
  }

  /** The default client stays: without one, unclaimed accesses would wait forever. */
  #expel(client: IoClient): void {
    if (client === this.#default) this.finishAllOf(client);
    else this.#remove(client);
  }

  #defaultMark(client: IoClient): { readonly isDefault?: true } {
    return client === this.#default ? { isDefault: true } : {};
  }

  /**
   * Removes a client whose owner did not ask for it. So an error that its `disconnected` throws has
   * no caller to go to, and is reported.
   */
  #remove(client: IoClient): void {
    try {
      this.destroy(client);
    } catch (error) {
      this.#emitFailed(client, error);
    }
  }

  #emitFailed(client: IoClient, error: unknown): void {
    const { vmId, observer } = this.#options;
    observer.event({
      kind: 'client-failed',
      vmId,
      client: client.name,
      ...this.#defaultMark(client),
      ...errorText(error),
    });
  }

  #connect(client: IoClient): void {
    const { finisher } = this.#options;
    if (finisher !== undefined) client.connect?.(finisher);
    if (this.#isRelaying) client.relay?.(true);
  }
}
