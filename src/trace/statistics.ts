/**
 * RequestStatistics: what a VM's requests were and how long they took, by type, by client and by address.
 *
 * The HSM says what it dispatched; how long it took the vCPU knows, from filling the slot to releasing it. So a request
 * is counted when its slot's next request is dispatched, or when somebody asks.
 */

import { build, type Histogram } from 'hdr-histogram-js';
import { hex, joinWords, typeName } from '../io-request/io-request.js';
import { Direction, IoRequestType, SLOT_COUNT } from '../io-request/layout.js';

/** Addresses that are counted one by one; the rest share one row. */
export const MAX_ADDRESSES = 1024;
const OTHER_ADDRESSES = 'other addresses';
/** The page may hold any number as type. */
const OTHER_TYPES = 'other types';

/** What the statistics need of a request; the HSM's AssignedRequest has it. */
export interface CountedRequest {
  readonly vcpu: number;
  readonly type: number;
  readonly direction: number;
  readonly addressLow: number;
  readonly addressHigh: number;
  readonly bus: number;
  readonly device: number;
  readonly pciFunction: number;
}

export interface StatisticsRow {
  readonly name: string;
  readonly reads: number;
  readonly writes: number;
  /** Microseconds, from the fill of the slot to its release; undefined when no latency was measured. */
  readonly p50Us: number | undefined;
  readonly p99Us: number | undefined;
  readonly maxUs: number | undefined;
}

/** A snapshot, plain data; each list is sorted by requests, most first. */
export interface StatisticsSnapshot {
  readonly requests: number;
  readonly types: readonly StatisticsRow[];
  readonly clients: readonly StatisticsRow[];
  readonly addresses: readonly StatisticsRow[];
}

interface Row {
  readonly name: string;
  reads: number;
  writes: number;
  /** Nanoseconds. */
  readonly latency: Histogram;
}

interface Pending {
  readonly rows: readonly Row[];
}

export class RequestStatistics {
  readonly #lastLatencyMs: (vcpu: number) => number;
  readonly #types = new Map<string, Row>();
  readonly #clients = new Map<string, Row>();
  readonly #addresses = new Map<string, Row>();
  readonly #pending: (Pending | undefined)[] = Array.from({ length: SLOT_COUNT });
  #requests = 0;

  /** `lastLatencyMs`: of a vCPU's last finished request; below 0 when it was not measured. */
  constructor(lastLatencyMs: (vcpu: number) => number) {
    this.#lastLatencyMs = lastLatencyMs;
  }

  dispatched(request: CountedRequest, client: string): void {
    this.#settle(request.vcpu);
    this.#requests++;
    const rows = [
      row(this.#types, isType(request.type) ? typeName(request.type) : OTHER_TYPES),
      row(this.#clients, client),
      this.#addressRow(describeAddress(request)),
    ];
    for (const counted of rows) {
      if (request.direction === Direction.READ) counted.reads++;
      else counted.writes++;
    }
    this.#pending[request.vcpu] = { rows };
  }

  snapshot(): StatisticsSnapshot {
    for (let vcpu = 0; vcpu < SLOT_COUNT; vcpu++) this.#settle(vcpu);
    return {
      requests: this.#requests,
      types: sorted(this.#types),
      clients: sorted(this.#clients),
      addresses: sorted(this.#addresses),
    };
  }

  #settle(vcpu: number): void {
    const pending = this.#pending[vcpu];
    if (pending === undefined) return;
    this.#pending[vcpu] = undefined;
    const latencyMs = this.#lastLatencyMs(vcpu);
    if (latencyMs <= 0) return;
    const ns = Math.max(1, Math.round(latencyMs * 1e6));
    for (const { latency } of pending.rows) latency.recordValue(ns);
  }

  #addressRow(name: string): Row {
    const known = this.#addresses.get(name);
    return known ?? row(this.#addresses, this.#addresses.size < MAX_ADDRESSES ? name : OTHER_ADDRESSES);
  }
}

function row(rows: Map<string, Row>, name: string): Row {
  let known = rows.get(name);
  if (known === undefined) {
    known = { name, reads: 0, writes: 0, latency: build({ numberOfSignificantValueDigits: 2, autoResize: true }) };
    rows.set(name, known);
  }
  return known;
}

function isType(type: number): boolean {
  return type >= IoRequestType.PORT && type <= IoRequestType.WRITE_PROTECT;
}

function describeAddress(request: CountedRequest): string {
  const address = joinWords(request.addressLow, request.addressHigh);
  if (request.type === IoRequestType.PORT) return `port ${hex(address, 3)}`;
  if (request.type === IoRequestType.PCI) {
    const { bus, device, pciFunction } = request;
    return `pci ${hex(bus, 2).slice(2)}:${hex(device, 2).slice(2)}.${pciFunction}`;
  }
  return `${typeName(request.type)} ${hex(address)}`;
}

function sorted(rows: ReadonlyMap<string, Row>): StatisticsRow[] {
  return [...rows.values()]
    .sort((a, b) => b.reads + b.writes - (a.reads + a.writes) || (a.name < b.name ? -1 : 1))
    .map(({ name, reads, writes, latency }) => {
      const us = (ns: number): number | undefined => (latency.totalCount === 0 ? undefined : ns / 1000);
      return {
        name,
        reads,
        writes,
        p50Us: us(latency.getValueAtPercentile(50)),
        p99Us: us(latency.getValueAtPercentile(99)),
        maxUs: us(latency.maxValue),
      };
    });
}
