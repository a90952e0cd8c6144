/**
 * FaultyClient: an I/O client whose requests fail as the rules say. It wraps another client, gives
 * it a copy of each request, and takes its answer. The wrapped client does not notice.
 *
 * Called by: the HSM's worker, instead of the wrapped client (FaultInjection.wrap).
 *
 * A client with its own thread answers through the Service VM's thread, always (IoClient.relay),
 * and drives interrupt lines of its own (line-relay.ts). So to the HSM this client is one that
 * answers in that thread: it has neither `relay` nor `isRunning`.
 *
 * Threads: the Service VM's thread only.
 */

import type { InterruptLine } from '../device-model/device.js';
import { ThreadClient } from '../device-model/placement/in-own-thread.js';
import { AssignedRequest } from '../hsm/assigned-request.js';
import type { ClientPosition, IoClient } from '../hsm/io-client.js';
import type { ClientFinisher } from '../hsm/request-finisher.js';
import { SLOT_COUNT } from '../io-request/layout.js';
import { copyFields } from '../io-request/request-fields.js';
import { VmSharedState } from '../hypervisor/vm-shared-state.js';
import { addressKey } from './fault-selector.js';
import type { FaultRecord, RequestTrigger } from './fault-trigger.js';
import { LineRelay } from './line-relay.js';
import { alter, type ValueWords } from './altered-value.js';

/**
 * Addresses of a client whose last value is kept for stale reads. The least recently read is
 * evicted.
 */
export const MAX_STALE_ADDRESSES = 1024;

/** What the clients of a VM use of its FaultInjection. */
export interface ClientFaults {
  /** Milliseconds since the VM's first start. */
  readonly timeMs: number;
  rulesFor(client: string, request: AssignedRequest): Iterable<RequestTrigger>;
  line(gsi: number, line: InterruptLine): InterruptLine;
  emit(fault: FaultRecord): void;
  later(ms: number, callback: () => void): void;
}

/** What happens to the wrapped client. */
export interface ClientEnds {
  /** Removes it. Undefined for a client that must stay. */
  readonly remove: (() => void) | undefined;
  /** It threw in a call that the HSM did not make. */
  readonly fail: (error: unknown) => void;
}

/** The request of one slot that the client has. */
interface OpenRequest {
  /** The request that the client gets: the same fields, another `finish`. */
  readonly copy: AssignedRequest;
  /** The number of the request's assignment, which its answer must name. 0: no request. */
  ticket: number;
  request: AssignedRequest | undefined;
  /** The rules that hit, in their order. */
  hits: RequestTrigger[];
  /** Key of the value in `#lastRead`, if a rule with a stale value selects the request. */
  key: string | undefined;
}

export class FaultyClient implements IoClient {
  readonly #client: IoClient;
  readonly #faults: ClientFaults;
  readonly #ends: ClientEnds;
  /** By slot. */
  readonly #open: readonly OpenRequest[];
  /** By address: the value of the last read, least recently read first. */
  readonly #lastRead = new Map<string, ValueWords>();
  #lineRelay: LineRelay | undefined;

  constructor(client: IoClient, faults: ClientFaults, ends: ClientEnds) {
    this.#client = client;
    this.#faults = faults;
    this.#ends = ends;
    this.#open = Array.from({ length: SLOT_COUNT }, (_, index) => ({
      copy: new AssignedRequest(index, {
        finish: (ticket, low, high) => {
          this.#lineRelay?.deliver();
          return this.#answered(index, ticket, low, high);
        },
      }),
      ticket: 0,
      request: undefined,
      hits: [],
      key: undefined,
    }));
  }

  get name(): string {
    return this.#client.name;
  }

  connect(finisher: ClientFinisher): void {
    if (this.#client.connect === undefined) return;
    const { lines } = new VmSharedState(finisher.shared);
    const relay = new LineRelay((gsi, high) =>
      this.#faults.line(gsi, { set: (level) => lines.set(gsi, level) }).set(high),
    );
    this.#lineRelay = relay;
    this.#client.relay?.(true);
    try {
      this.#client.connect({ ...finisher, shared: relay.handle });
    } catch (error) {
      relay.close();
      throw error;
    }
  }

  disconnected(): void {
    for (const open of this.#open) open.ticket = 0;
    this.#lineRelay?.close();
    this.#client.disconnected?.();
  }

  explain(vcpu: number): ClientPosition | undefined {
    const dropped = this.#open[vcpu]?.hits.find(({ rule }) => rule.effect.kind === 'drop');
    if (dropped !== undefined) return { detail: `the fault rule "${dropped.text}" drops its answer` };
    return this.#client.explain?.(vcpu);
  }

  notify(request: AssignedRequest): void {
    const open = this.#open[request.vcpu] as OpenRequest;
    const { ticket } = request;
    const hits = this.#hits(open, request);
    open.ticket = ticket;
    open.request = request;
    open.hits = hits;
    // The vCPU and `finish` stay the copy's own.
    open.copy.ticket = ticket;
    copyFields(request, open.copy);
    let slowMs = 0;
    for (const { rule, text } of hits) {
      if (rule.effect.kind === 'slow') slowMs += rule.effect.ms;
      else if (rule.effect.kind === 'crash' || (rule.effect.kind === 'remove' && this.#ends.remove === undefined)) {
        this.#crash(text);
        return;
      } else if (rule.effect.kind === 'remove') {
        this.#ends.remove?.();
        return;
      }
    }
    if (!request.isRead && hits.length > 0) {
      const { low, high } = this.#altered(open, { low: request.valueLow, high: request.valueHigh });
      open.copy.valueLow = low;
      open.copy.valueHigh = high;
    }
    if (slowMs === 0) this.#client.notify(open.copy);
    else
      this.#faults.later(slowMs, () => {
        if (open.ticket === ticket) this.#notifyLate(open.copy);
      });
  }

  /**
   * The HSM's call has returned, so an error that the client throws would be an uncaught one of the
   * process.
   */
  #notifyLate(request: AssignedRequest): void {
    try {
      this.#client.notify(request);
    } catch (error) {
      this.#ends.fail(error);
    }
  }

  /** The rules that hit this request. Counts and emits them. */
  #hits(open: OpenRequest, request: AssignedRequest): RequestTrigger[] {
    const { timeMs } = this.#faults;
    const hits: RequestTrigger[] = [];
    open.key = undefined;
    for (const trigger of this.#faults.rulesFor(this.name, request)) {
      if (trigger.rule.effect.kind === 'stale') {
        open.key = addressKey(this.name, request);
        // The first read of an address has no earlier value.
        if (!this.#lastRead.has(open.key)) continue;
      }
      if (!trigger.hits(timeMs)) continue;
      hits.push(trigger);
      this.#faults.emit(trigger.record(timeMs, this.name, { vcpu: request.vcpu, request: request.describe() }));
    }
    return hits;
  }

  #crash(rule: string): void {
    // Its requests are finished when the thread has exited, as after a crash of its own.
    if (this.#client instanceof ThreadClient) void this.#client.terminate();
    else throw new Error(`crashed by the fault rule "${rule}"`);
  }

  /** The client's answer. Returns false if it is too late. */
  #answered(vcpu: number, ticket: number, low: number, high: number): boolean {
    const open = this.#open[vcpu] as OpenRequest;
    const { request, hits } = open;
    if (ticket === 0 || open.ticket !== ticket || request === undefined) return false;
    open.ticket = 0;
    if (hits.some(({ rule }) => rule.effect.kind === 'drop')) return true;
    const answer = request.isRead ? this.#altered(open, { low, high }) : { low, high };
    if (open.key !== undefined) this.#keep(open.key, answer);
    let delayMs = 0;
    for (const { rule } of hits) if (rule.effect.kind === 'delay') delayMs += rule.effect.ms;
    if (delayMs === 0) return request.finish(ticket, answer.low, answer.high);
    this.#faults.later(delayMs, () => void request.finish(ticket, answer.low, answer.high));
    return true;
  }

  /** The value after all rules that hit. */
  #altered(open: OpenRequest, value: ValueWords): ValueWords {
    let altered = value;
    for (const trigger of open.hits) {
      const stale = open.key === undefined ? undefined : this.#lastRead.get(open.key);
      altered = alter(altered, trigger, open.copy.size, stale);
    }
    return altered;
  }

  /** Keeps the value of a read for later stale reads. */
  #keep(key: string, value: ValueWords): void {
    this.#lastRead.delete(key);
    if (this.#lastRead.size >= MAX_STALE_ADDRESSES)
      for (const oldest of this.#lastRead.keys()) {
        this.#lastRead.delete(oldest);
        break;
      }
    this.#lastRead.set(key, value);
  }
}
