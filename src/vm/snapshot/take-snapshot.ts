/**
 * takeSnapshot: saves a running VM: copies its RAM while it runs if the hypervisor logs writes,
 * holds its vCPUs between two instructions, copies the rest, and lets them run on.
 *
 * Called by: UserVm.save, as a step of the life cycle, so that the VM is not reset meanwhile.
 * Threads: the Service VM's.
 *
 * A vCPU that is held has no request open, so every slot is FREE and no device is in an access. The
 * copy under the hold is made in one turn of the event loop: no timer and no completion comes
 * between its parts.
 */

import type { SystemClock } from '../../device-model/clock.js';
import type { Hypercalls } from '../../hypervisor/hypercalls.js';
import type { Hypervisor } from '../../hypervisor/hypervisor.js';
import type { SavedVcpu, VcpuSnapshots } from '../../hypervisor/saved-vcpu.js';
import { IoRequestState } from '../../io-request/state.js';
import type { SharedBuffer } from '../../io-request/shared-buffer.js';
import { VmState } from '../../hypervisor/vm-shared-state.js';
import { obstaclesOf, refused, saveDevices, type Place } from './device-states.js';
import { RamCopy } from './ram-copy.js';
import { Snapshot, type SnapshotParts } from './snapshot.js';

/** Default of `limitMs`. */
const HOLD_LIMIT_MS = 5000;

export type Notes = Readonly<Record<string, unknown>>;

export interface SaveOptions {
  /**
   * Plain data for the program that restores the VM: `Snapshot.notes`. Default: none. A function is
   * called while the vCPUs are held, after each device's `save()`, and must not wait.
   */
  readonly notes?: Notes | (() => Notes);
  /**
   * How long a device may take for an access that is open, in ms. Then the VM is not saved.
   * Default: 5000.
   */
  readonly limitMs?: number;
}

/** The VM as it is saved. */
export interface SavableVm {
  readonly name: string;
  readonly hypervisor: Pick<Hypervisor, 'name' | 'stateVersion'>;
  readonly hypercalls: Hypercalls;
  readonly buffer: SharedBuffer;
  readonly clock: SystemClock;
  readonly completionPolling: boolean;
  readonly interceptPci: boolean;
  /** VmDevices. */
  readonly devices: { places(): readonly Place[]; otherClients(): readonly string[] };
  /** Its fault plan, if it has one. */
  readonly faults: unknown;
  /** The name of the client that has, or had last, the request of a vCPU. */
  readonly ownerOf: (vcpu: number) => string | undefined;
}

/** Rejects with SNAPSHOT_REFUSED, and the VM runs on. */
export async function takeSnapshot(
  vm: SavableVm,
  { notes = {}, limitMs = HOLD_LIMIT_MS }: SaveOptions = {},
): Promise<Snapshot> {
  const { hypercalls } = vm;
  const { snapshots, hypervisorState } = await expectSavable(vm);
  const copy = new RamCopy(hypercalls);
  let parts: Omit<SnapshotParts, 'ram'>;
  try {
    await copy.copyRunning(() => hypercalls.shared.vmState === VmState.RUNNING);
    const vcpus = await snapshots.hold(limitMs);
    if (vcpus === undefined) throw refused(...whyNotHeld(vm, limitMs));
    // Devices may have been attached meanwhile.
    expectNoObstacles(vm);
    parts = capture(vm, vcpus, hypervisorState, notes);
    copy.copyHeld();
  } finally {
    snapshots.release();
    copy.stop();
  }
  return new Snapshot({ ...parts, ram: await copy.pages() });
}

/**
 * What is known of a VM before its start, and needed to save it. Rejects with SNAPSHOT_REFUSED if
 * its hypervisor, one of its devices or its fault plan cannot be saved.
 */
export async function expectSavable(
  vm: SavableVm,
): Promise<{ readonly snapshots: VcpuSnapshots; readonly hypervisorState: string }> {
  const { hypervisor, hypercalls } = vm;
  const { snapshots } = hypercalls;
  const hypervisorState = await hypervisor.stateVersion?.();
  if (snapshots === undefined || hypervisorState === undefined)
    throw refused(`the hypervisor ${hypervisor.name} cannot save a VM`, 'Use the hypervisor v86 or kvm');
  expectNoObstacles(vm);
  return { snapshots, hypervisorState };
}

function expectNoObstacles(vm: SavableVm): void {
  const faults = vm.faults === undefined ? [] : ['it has a fault plan'];
  const obstacles = [...obstaclesOf(vm.devices.places()), ...vm.devices.otherClients(), ...faults];
  if (obstacles.length > 0)
    throw refused(
      `VM ${vm.name} cannot be saved: ${obstacles.join('; ')}`,
      'Run it without them, or give a device save() and restore() (docs/snapshots.md)',
    );
}

/** In one turn of the event loop, while the vCPUs are held. */
function capture(
  vm: SavableVm,
  vcpus: readonly SavedVcpu[],
  hypervisorState: string,
  notes: Notes | (() => Notes),
): Omit<SnapshotParts, 'ram'> {
  const { shared, memory, vcpuCount } = vm.hypercalls;
  return {
    takenMs: Date.now(),
    hypervisor: vm.hypervisor.name,
    hypervisorState,
    name: vm.name,
    memoryBytes: memory.size,
    vcpuCount,
    completionPolling: vm.completionPolling,
    interceptPci: vm.interceptPci,
    clockMs: vm.clock.now(),
    devices: saveDevices(vm.devices.places()),
    lines: shared.lines.save(),
    messages: shared.msis.save(),
    pciAddress: shared.pciAddress,
    protectedPages: shared.protectedPages.addresses,
    page: vm.buffer.bytes.slice(),
    vcpus,
    // After the devices: their save() has passed on all that the guest had printed.
    notes: typeof notes === 'function' ? notes() : notes,
  };
}

function whyNotHeld({ name, hypercalls, buffer, ownerOf }: SavableVm, limitMs: number): [fact: string, remedy: string] {
  if (hypercalls.shared.vmState !== VmState.RUNNING)
    return [`VM ${name} stopped running while it was saved`, 'Save a VM that runs'];
  for (let vcpu = 0; vcpu < hypercalls.vcpuCount; vcpu++)
    if (buffer.slot(vcpu).state !== IoRequestState.FREE)
      return [
        `VM ${name} cannot be saved: ${ownerOf(vcpu) ?? 'no client'} has had a request of vCPU ${vcpu} open for ${limitMs / 1000} s`,
        'Let it answer, or continue the requests that are held, and save again',
      ];
  return [
    `VM ${name} cannot be saved: a vCPU did not end its instruction within ${limitMs / 1000} s`,
    'Save again; a vCPU that has halted for good cannot be saved',
  ];
}
