/**
 * The states of the devices and PCI functions of a VM in a snapshot, each with its place, name and
 * version.
 *
 * Called by: VmDevices, which knows what is attached where.
 *
 * The snapshot says what the guest has seen, so at a restore each of its devices has to be there,
 * under the same name at the same place. A device that the snapshot does not have starts at
 * power-on: the guest does not know it yet.
 */

import { errorText } from '../../io-request/error-text.js';
import { SavedState } from '../../io-request/saved-state.js';
import { UpcallError } from '../../io-request/upcall-error.js';

/** What a Device and a PciFunction have in common for this. */
export interface Savable {
  save?(): unknown;
  restore?(state: unknown): void;
  readonly stateVersion?: number;
}

export interface Place {
  /** For example `port 0x3f8-0x3ff` or `pci 00:00.0`. Differs from that of all others. */
  readonly at: string;
  readonly name: string;
  /** Why what is there cannot be saved at all, for example as it has a thread of its own. */
  readonly obstacle?: string;
  readonly device: Savable;
}

export interface SavedDevice {
  readonly at: string;
  readonly name: string;
  readonly version: number;
  readonly state: unknown;
}

/** Devices of a VM, at most: each has a range, and a VM has at most 65535. */
export const MAX_DEVICES = 65_535 + 256;
const MAX_NAME = 1024;
const MAX_VERSION = 2 ** 31;

/** Why `places` cannot be saved, for each that cannot: "rtc at port 0x70: it has no save()". */
export function obstaclesOf(places: readonly Place[]): readonly string[] {
  return places.flatMap(({ at, name, device, obstacle }) => {
    const why = obstacle ?? (device.save === undefined ? 'it has no save()' : undefined);
    return why === undefined ? [] : [`${name} at ${at}: ${why}`];
  });
}

/** Throws SNAPSHOT_REFUSED, which names the device that failed. */
export function saveDevices(places: readonly Place[]): readonly SavedDevice[] {
  return places.map(({ at, name, device }) => {
    try {
      const state = device.save?.() ?? null;
      // What JSON cannot carry is refused here, where the device is known.
      JSON.stringify(state);
      return { at, name, version: versionOf(device), state };
    } catch (cause) {
      throw refused(`${name} at ${at} failed in its save: ${errorText(cause).message}`, 'Correct the device', cause);
    }
  });
}

export function readDevices(manifest: SavedState): readonly SavedDevice[] {
  return manifest.parts('devices', MAX_DEVICES).map((from) => ({
    at: from.text('at', MAX_NAME),
    name: from.text('name', MAX_NAME),
    version: from.integer('version', 0, MAX_VERSION),
    state: from.value('state'),
  }));
}

/**
 * Throws SNAPSHOT_REFUSED unless all are there, and what a device throws that gets an invalid
 * state.
 */
export function restoreDevices(saved: readonly SavedDevice[], places: readonly Place[]): void {
  const byPlace = new Map(places.map((place) => [place.at, place]));
  const pairs = saved.map((one) => ({ one, place: placeOf(one, byPlace.get(one.at)) }));
  for (const { one, place } of pairs) {
    try {
      place.device.restore?.(one.state);
    } catch (cause) {
      if (cause instanceof UpcallError) throw cause;
      throw refused(
        `${place.name} at ${place.at} failed in its restore: ${errorText(cause).message}`,
        'Correct the device, or save the VM again',
        cause,
      );
    }
  }
}

function placeOf({ at, name, version }: SavedDevice, place: Place | undefined): Place {
  if (place === undefined)
    throw refused(`the snapshot has ${name} at ${at}, where the VM has no device`, 'Attach it before the start');
  if (place.name !== name)
    throw refused(`the snapshot has ${name} at ${at}, where the VM has ${place.name}`, 'Attach the same devices');
  const why =
    place.obstacle ??
    (place.device.restore === undefined
      ? 'it has no restore()'
      : versionOf(place.device) === version
        ? undefined
        : `its state has version ${version}, and the device reads version ${versionOf(place.device)}`);
  if (why === undefined) return place;
  throw refused(`${name} at ${at} cannot be restored: ${why}`, 'Save the VM again, with the devices as they are now');
}

/** Without a version is a form as well. */
function versionOf(device: Savable): number {
  return device.stateVersion ?? 0;
}

export function refused(fact: string, remedy: string, cause?: unknown): UpcallError {
  return new UpcallError('SNAPSHOT_REFUSED', fact, { remedy, cause });
}
