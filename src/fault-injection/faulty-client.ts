/**
 * FaultyClient: an I/O client whose requests go wrong as the rules say. It stands between the HSM and the client: it hands
 * over a copy of each request and takes the answer, so the client knows nothing of it. A client in a thread of its own
 * is told to answer by way of the Service VM's thread (IoClient.relay), and drives lines of its own (line-relay.ts).
 */

import { ThreadClient } from '../device-model/placement/in-own-thread.js';
import { AssignedRequest } from '../hsm/assigned-request.js';
import type { ClientPosition, IoClient } from '../hsm/io-client.js';
import type { ClientFinisher } from '../hsm/request-finisher.js';
import { SLOT_COUNT } from '../io-request/layout.js';
import { VmSharedState } from '../hypervisor/vm-shared-state.js';
import type { FaultInjection, RequestTrigger } from './fault-injection.js';
import { addressKey } from './fault-selector.js';
import { LineRelay } from './line-relay.js';
import { alter, copyRequest, type Words } from './request-words.js';

/** Addresses whose last value is kept for stale reads, for each client; of others the oldest are forgotten. */
export const MAX_STALE_ADDRESSES = 1024;

/** One slot's request that the client has. */
interface Open {
  /** The client's request object: the same fields, another `finish`. */
  readonly copy: AssignedRequest;
  /** 0: none. */
  ticket: number;
  request: AssignedRequest | undefined;
  /** Faults for the answer, in the order of the rules. */
  hits: RequestTrigger[];
  /** Under which the value read is kept. */
  key: string | undefined;
}

export class FaultyClient implements IoClient {
  readonly #client: IoClient;
  readonly #faults: FaultInjection;
  readonly #remove: (() => void) | undefined;
  readonly #open: readonly Open[];
  readonly #lastRead = new Map<string, Words>();
  #lineRelay: LineRelay | undefined;

  /** `remove` takes the client out; left out for one that stays whatever happens. */
  constructor(client: IoClient, faults: FaultInjection, remove: (() => void) | undefined) {
    this.#client = client;
    this.#faults = faults;
    this.#remove = remove;
    this.#open = Array.from({ length: SLOT_COUNT }, (_, index) => ({
      copy: new AssignedRequest(index, ({ vcpu }, ticket, low, high) => {
        this.#lineRelay?.deliver();
        return this.#answered(vcpu, ticket, low, high);
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
    const dropped = this.#open[vcpu]?.hits.find(({ rule }) => rule.way.kind === 'drop');
    if (dropped !== undefined) return { detail: `its answer is dropped by the fault rule "${dropped.text}"` };
    return this.#client.explain?.(vcpu);
  }

  notify(request: AssignedRequest): void {
    const open = this.#open[request.vcpu] as Open;
    const { ticket } = request;
    const hits = this.#hits(open, request);
    open.ticket = ticket;
    open.request = request;
    open.hits = hits;
    copyRequest(request, open.copy);
    let slowMs = 0;
    for (const { rule, text } of hits) {
      if (rule.way.kind === 'slow') slowMs += rule.way.ms;
      else if (rule.way.kind === 'crash' || (rule.way.kind === 'remove' && this.#remove === undefined)) {
        this.#crash(text);
        return;
      } else if (rule.way.kind === 'remove') {
        this.#remove?.();
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
        if (open.ticket === ticket) this.#client.notify(open.copy);
      });
  }

  /** Which rules hit this request; they are counted and told. */
  #hits(open: Open, request: AssignedRequest): RequestTrigger[] {
    const { timeMs } = this.#faults;
    const hits: RequestTrigger[] = [];
    open.key = undefined;
    for (const trigger of this.#faults.rulesFor(this.name, request)) {
      if (trigger.rule.way.kind === 'stale') {
        open.key = addressKey(this.name, request);
        // The first read of an address has nothing to give again.
        if (!this.#lastRead.has(open.key)) continue;
      }
      if (!trigger.hits(timeMs)) continue;
      hits.push(trigger);
      this.#faults.emit(trigger.note(timeMs, this.name, request));
    }
    return hits;
  }

  #crash(rule: string): void {
    // What it has is finished when its thread has ended, as after a crash of its own.
    if (this.#client instanceof ThreadClient) void this.#client.terminate();
    else throw new Error(`crashed by the fault rule "${rule}"`);
  }

  /** The client's answer. False: it is too late. */
  #answered(vcpu: number, ticket: number, low: number, high: number): boolean {
    const open = this.#open[vcpu] as Open;
    const { request, hits } = open;
    if (ticket === 0 || open.ticket !== ticket || request === undefined) return false;
    open.ticket = 0;
    if (hits.some(({ rule }) => rule.way.kind === 'drop')) return true;
    const answer = request.isRead ? this.#altered(open, { low, high }) : { low, high };
    if (open.key !== undefined) this.#keep(open.key, answer);
    let delayMs = 0;
    for (const { rule } of hits) if (rule.way.kind === 'delay') delayMs += rule.way.ms;
    if (delayMs === 0) return request.finish(ticket, answer.low, answer.high);
    this.#faults.later(delayMs, () => void request.finish(ticket, answer.low, answer.high));
    return true;
  }

  #altered(open: Open, value: Words): Words {
    let altered = value;
    for (const trigger of open.hits) {
      const stale = open.key === undefined ? undefined : this.#lastRead.get(open.key);
      altered = alter(altered, trigger, open.copy.size, stale);
    }
    return altered;
  }

  #keep(key: string, value: Words): void {
    this.#lastRead.delete(key);
    if (this.#lastRead.size >= MAX_STALE_ADDRESSES)
      for (const oldest of this.#lastRead.keys()) {
        this.#lastRead.delete(oldest);
        break;
      }
    this.#lastRead.set(key, value);
  }
}
