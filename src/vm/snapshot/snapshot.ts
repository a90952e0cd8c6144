/**
 * Snapshot: everything of one running VM between two instructions of its guest, in memory: to be
 * written to a file, read from one, and started again (docs/snapshots.md).
 *
 * Made by: take-snapshot.ts, and `readSnapshot` from a file.
 * Called by: ServiceVm.restore, VmLifeCycle, and programs, which may read `notes`.
 */

import { host } from '../../host/current.js';
import type { Hypercalls } from '../../hypervisor/hypercalls.js';
import { MAX_VCPUS } from '../../hypervisor/hypervisor.js';
import type { SavedVcpu } from '../../hypervisor/saved-vcpu.js';
import { bytesOfRuns, checkPages, PIECE_BYTES, placePages, type SparsePages } from '../../hypervisor/sparse-pages.js';
import { PAGE_BYTES } from '../../io-request/layout.js';
import { SavedState, savedStateError } from '../../io-request/saved-state.js';
import type { SharedBuffer } from '../../io-request/shared-buffer.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import { MAX_MEMORY_MIB } from '../user-vm-options.js';
import { readDevices, refused, type SavedDevice } from './device-states.js';
import { packSnapshot, unpackSnapshot } from './snapshot-file.js';

/** All of it is plain data. */
export interface SnapshotParts {
  /** When it was taken, in ms since 1970. */
  readonly takenMs: number;
  readonly hypervisor: string;
  /** `Hypervisor.stateVersion` of the one that saved the vCPUs. */
  readonly hypervisorState: string;
  readonly name: string;
  readonly memoryBytes: number;
  readonly vcpuCount: number;
  readonly completionPolling: boolean;
  readonly interceptPci: boolean;
  /** The clock of the devices. */
  readonly clockMs: number;
  readonly ram: SparsePages;
  readonly vcpus: readonly SavedVcpu[];
  /** The page with the slots. */
  readonly page: Uint8Array<ArrayBuffer>;
  readonly lines: unknown;
  readonly messages: unknown;
  readonly pciAddress: number;
  /** Addresses of write-protected pages. */
  readonly protectedPages: readonly number[];
  readonly devices: readonly SavedDevice[];
  /** What the program that saved it wants to find again. */
  readonly notes: Readonly<Record<string, unknown>>;
}

const MIB = 2 ** 20;
const MAX_TEXT = 4096;
/** Of 4 KiB in 4 GiB. */
const MAX_PAGE = 2 ** 20;

export class Snapshot {
  readonly parts: SnapshotParts;

  constructor(parts: SnapshotParts) {
    this.parts = parts;
  }

  get notes(): Readonly<Record<string, unknown>> {
    return this.parts.notes;
  }

  /** Replaces `file` at the end, as a whole. Returns its length. Rejects with SNAPSHOT_REFUSED. */
  async write(file: string): Promise<number> {
    const { ram, vcpus, page, ...rest } = this.parts;
    const manifest = {
      ...rest,
      ram: ram.runs,
      vcpus: vcpus.map(({ state, memory }) => ({ state, runs: memory?.runs ?? null })),
    };
    const pieces = [page, ...ram.pieces, ...vcpus.flatMap(({ memory }) => memory?.pieces ?? [])];
    const packed = await packSnapshot({ manifest, pieces });
    try {
      await host.replaceFile(file, packed);
    } catch (cause) {
      const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
      throw refused(`cannot write ${file} (${reason})`, 'Give a file in a folder that you may write to', cause);
    }
    return packed.reduce((sum, { length }) => sum + length, 0);
  }

  /** Throws SNAPSHOT_REFUSED unless the hypervisor is the one that saved the vCPUs. */
  expectHypervisor(name: string, stateVersion: string | undefined): void {
    const { hypervisor, hypervisorState } = this.parts;
    if (name === hypervisor && stateVersion === hypervisorState) return;
    throw refused(
      `the snapshot is one of the hypervisor ${hypervisor} (${hypervisorState}), not of ${name} (${stateVersion ?? 'which cannot restore'})`,
      name === hypervisor
        ? 'Restore it with the same version of upcall on the same kind of machine, or save the VM again'
        : `Restore it with --hypervisor ${hypervisor}, or save the VM again`,
    );
  }

  /** Fills a VM whose vCPUs were created from `vcpus`, before its start. Its page is set. */
  intoVm(hypercalls: Hypercalls, buffer: SharedBuffer): void {
    const { ram, page, messages, pciAddress, protectedPages } = this.parts;
    placePages(hypercalls.memory.bytes, ram);
    buffer.bytes.set(page);
    // Nothing on the page is believed: all slots were FREE.
    buffer.stampFree();
    const { shared } = hypercalls;
    shared.msis.restore(messages);
    shared.pciAddress = pciAddress;
    for (const address of protectedPages)
      if (hypercalls.writeProtectPage?.(address, true) !== 0)
        throw savedStateError('the VM', `protects the page at 0x${address.toString(16)}, which is not possible`);
  }
}

/** Throws SNAPSHOT_INVALID, or IMAGE_NOT_FOUND if `file` cannot be read. */
export async function readSnapshot(file: string): Promise<Snapshot> {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = await host.readFile(file);
  } catch (cause) {
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    throw new UpcallError('IMAGE_NOT_FOUND', `cannot read ${file} (${reason})`, {
      remedy: 'Check the path and its permissions',
      cause,
    });
  }
  const { manifest, pieces } = await unpackSnapshot(bytes, file);
  const from = new SavedState(file, manifest);
  const memoryBytes = from.integer('memoryBytes', MIB, MAX_MEMORY_MIB * MIB);
  if (memoryBytes % MIB !== 0) throw from.unexpected('memoryBytes', 'a whole number of MiB');
  let next = 0;
  const take = (runs: readonly number[]): SparsePages => {
    const count = Math.ceil(bytesOfRuns(runs) / PIECE_BYTES);
    return { runs, pieces: pieces.slice(next, (next += count)) };
  };
  const runsOf = (state: SavedState, name: string): readonly number[] =>
    state.integersUpTo(name, 2 * MAX_PAGE, 0, MAX_PAGE);
  const [page = new Uint8Array(0)] = pieces.slice(0, (next = 1));
  if (page.length !== PAGE_BYTES) throw savedStateError(file, `has a page of ${page.length} bytes`);
  const ram = take(runsOf(from, 'ram'));
  checkPages(ram, file, memoryBytes);
  const vcpus = from.parts('vcpus', MAX_VCPUS).map((vcpu): SavedVcpu => {
    const runs = vcpu.optional('runs', () => runsOf(vcpu, 'runs'));
    return { state: vcpu.value('state'), ...(runs === undefined ? {} : { memory: take(runs) }) };
  });
  const vcpuCount = from.integer('vcpuCount', 1, MAX_VCPUS);
  if (vcpus.length !== vcpuCount || next !== pieces.length)
    throw savedStateError(file, `has ${vcpus.length} vCPUs of ${vcpuCount}, and ${next} pieces of ${pieces.length}`);
  return new Snapshot({
    takenMs: from.integer('takenMs', 0, Number.MAX_SAFE_INTEGER),
    hypervisor: from.text('hypervisor', MAX_TEXT),
    hypervisorState: from.text('hypervisorState', MAX_TEXT),
    name: from.text('name', MAX_TEXT),
    memoryBytes,
    vcpuCount,
    completionPolling: from.boolean('completionPolling'),
    interceptPci: from.boolean('interceptPci'),
    clockMs: from.number('clockMs'),
    ram,
    vcpus,
    page,
    lines: from.value('lines'),
    messages: from.value('messages'),
    pciAddress: from.word('pciAddress'),
    protectedPages: from.integersUpTo('protectedPages', memoryBytes / PAGE_BYTES, 0, memoryBytes - PAGE_BYTES),
    devices: readDevices(from),
    notes: notesOf(from),
  });
}

function notesOf(from: SavedState): Readonly<Record<string, unknown>> {
  // Throws unless it is an object.
  from.part('notes');
  return from.value('notes') as Record<string, unknown>;
}
