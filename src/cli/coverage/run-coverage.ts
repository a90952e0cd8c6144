/**
 * RunCoverage: which registers of the devices of `--device` the guest read and wrote during a run,
 * and with which values (`--coverage`). It counts the requests of the VM's trace, so that a device
 * in a thread of its own is covered as well. The trace is of moves: changes of the state of a
 * request's slot.
 *
 * Called by: session.ts, which creates it before the VM starts; coverage-option.ts, at the end.
 * Threads: the Service VM's.
 *
 * A write to a doorbell of a card, which the hypervisor completes itself, is not a request.
 */

import { CardClient } from '../../device-model/pci/card-client.js';
import { ThreadClient } from '../../device-model/placement/in-own-thread.js';
import type { RegisterMap } from '../../device-model/register-map.js';
import type { IoClient } from '../../hsm/io-client.js';
import type { IoRequest } from '../../io-request/io-request.js';
import { IoRequestType } from '../../io-request/layout.js';
import { RegisterCoverage, type FieldCoverage } from '../../testing/register-coverage.js';
import type { Move } from '../../trace/move.js';
import type { UserVm } from '../../vm/user-vm.js';

/** What became of the registers of one device, as `--coverage=FILE` writes it. */
export interface DeviceCoverage {
  readonly device: string;
  /** The name of the data sheet. */
  readonly source: string;
  readonly fields: readonly FieldCoverage[];
  /** Accesses at no register of the map. */
  readonly otherAccesses: number;
  readonly missing: readonly string[];
}

/** A range of the device, as numbers: they are compared with each request. */
interface Place {
  readonly type: 'port' | 'mmio';
  readonly first: number;
  readonly last: number;
  readonly bar: number;
}

interface Covered {
  readonly client: IoClient;
  map: RegisterMap | undefined;
  coverage: RegisterCoverage | undefined;
  /** The latest that are known: the client may be removed before its last requests are read. */
  places: readonly Place[];
}

const BARS = 6;

export class RunCoverage {
  readonly #vm: UserVm;
  readonly #devices: Covered[] = [];
  /** Moves that were overwritten before they were read: the coverage lacks what they were. */
  #lost = 0;
  readonly #read: Promise<void>;

  constructor(vm: UserVm) {
    this.#vm = vm;
    this.#read = this.#readTrace();
  }

  /** `client`: of a device whose registers are counted. */
  add(client: IoClient): void {
    const device: Covered = { client, map: undefined, coverage: undefined, places: this.#placesOf(client) };
    this.#devices.push(device);
    // Now, because one that is never accessed has to be in the table as well.
    this.#coverageOf(device);
    if (client instanceof ThreadClient)
      client.ready.then(
        () => this.#coverageOf(device),
        () => undefined,
      );
  }

  /** Resolves when the VM has ended and all of its requests are counted. */
  async ended(): Promise<void> {
    await this.#read;
  }

  get lostMoves(): number {
    return this.#lost;
  }

  /** The devices that have a register map. */
  get devices(): readonly DeviceCoverage[] {
    return this.#devices.flatMap((device) => {
      const coverage = this.#coverageOf(device);
      return coverage === undefined || device.map === undefined
        ? []
        : [
            {
              device: device.client.name,
              source: device.map.source,
              fields: coverage.fields,
              otherAccesses: coverage.otherAccesses,
              missing: coverage.missing,
            },
          ];
    });
  }

  /** A table for each device. */
  toString(): string {
    const tables = this.#devices.flatMap((device) => {
      const coverage = this.#coverageOf(device);
      if (coverage === undefined) return [`${device.client.name} has no register map`];
      const { missing } = coverage;
      const rest = missing.length === 0 ? 'every register and field was accessed' : missing.join('\n');
      return [`registers of ${device.client.name} (${device.map?.source ?? ''})`, coverage.toString(), rest];
    });
    const lost =
      this.#lost === 0 ? [] : [`incomplete: ${this.#lost} moves of requests were lost before they were read`];
    return `${[...tables, ...lost].join('\n')}\n`;
  }

  async #readTrace(): Promise<void> {
    for await (const move of this.#vm.trace()) this.#note(move);
  }

  #note({ to, isRefused, request, client, lost }: Move): void {
    this.#lost += lost;
    if (to !== 'COMPLETE' || isRefused || request === undefined || request.type === 'pci') return;
    for (const device of this.#devices) if (device.client.name === client && this.#count(device, request)) return;
  }

  /** Returns false if the request is not at one of the device's registers. */
  #count(device: Covered, request: Exclude<IoRequest, { type: 'pci' }>): boolean {
    const place = this.#placeOf(device, request);
    const coverage = this.#coverageOf(device);
    if (place === undefined || coverage === undefined) return place !== undefined;
    const offset = request.address - place.first;
    const { direction, size, value } = request;
    if (size === 8) {
      const wide = BigInt(value);
      coverage.note(direction, place.bar, offset, 4, Number(BigInt.asUintN(32, wide)));
      coverage.note(direction, place.bar, offset + 4, 4, Number(wide >> 32n));
    } else coverage.note(direction, place.bar, offset, size, Number(value));
    return true;
  }

  #placeOf(device: Covered, { type, address }: { readonly type: string; readonly address: number }): Place | undefined {
    const isThere = (place: Place): boolean => place.type === type && address >= place.first && address <= place.last;
    const known = device.places.find(isThere);
    if (known !== undefined) return known;
    const places = this.#placesOf(device.client);
    if (places.length > 0) device.places = places;
    return device.places.find(isThere);
  }

  /** None if the client was removed. */
  #placesOf(client: IoClient): Place[] {
    const ranges =
      client instanceof CardClient
        ? Array.from({ length: BARS }, (_, bar) => ({ bar, range: client.decoded(bar) }))
        : this.#vm.inspection.rangesOf(client).map((range) => ({ bar: 0, range }));
    return ranges.flatMap(({ bar, range }) =>
      range === undefined
        ? []
        : [
            {
              type: range.type === IoRequestType.PORT ? ('port' as const) : ('mmio' as const),
              first: Number(range.start),
              last: Number(range.end),
              bar,
            },
          ],
    );
  }

  /** Begins anew with the map of a class that has replaced the device's. */
  #coverageOf(device: Covered): RegisterCoverage | undefined {
    const map = this.#vm.inspection.registersOf(device.client) ?? device.map;
    if (map !== device.map && (device.map === undefined || JSON.stringify(map) !== JSON.stringify(device.map))) {
      device.map = map;
      device.coverage = map && new RegisterCoverage(map);
    }
    return device.coverage;
  }
}
