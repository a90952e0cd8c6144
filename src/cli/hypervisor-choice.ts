/**
 * The hypervisors by name: which there are, which run here, and what to do about those that do not. The only place
 * outside of the hypervisors' own folders (and the public index) that names them all.
 */

import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import type { Availability, Hypervisor } from '../hypervisor/hypervisor.js';
import { UpcallError } from '../io-request/upcall-error.js';

export interface HypervisorChoice {
  readonly name: string;
  /** What it is, in a line. */
  readonly about: string;
  /** Whether it can run a guest program here. */
  available(): Promise<Availability>;
  /** Only called when it is available. */
  create(): Promise<Hypervisor>;
}

const USE_V86 = 'Use --hypervisor v86, which runs wherever Node.js does';

export const HYPERVISORS: readonly HypervisorChoice[] = [
  {
    name: 'v86',
    about: 'an embedded x86 core; needs nothing of the host',
    available: async () => (await createV86()).available(),
    create: createV86,
  },
  notImplemented('kvm', 'the KVM of a Linux host', '/dev/kvm'),
  notImplemented('acrn', 'the ACRN hypervisor below a Service VM', '/dev/acrn_hsm'),
  {
    name: 'scripted',
    about: 'plays lists of accesses, for tests and benchmarks',
    available: () =>
      Promise.resolve({
        available: false,
        reason: 'it plays lists of accesses and runs no guest program',
        remedy: `${USE_V86}; the library has ScriptedHypervisor`,
      }),
    create: () => Promise.reject(new Error('the scripted hypervisor runs no guest program')),
  },
];

/** Throws OPTION_INVALID for an unknown name, HYPERVISOR_UNAVAILABLE for one that does not run here. */
export async function chooseHypervisor(name: string): Promise<Hypervisor> {
  const choice = HYPERVISORS.find((known) => known.name === name);
  if (choice === undefined)
    throw new UpcallError('OPTION_INVALID', `unknown hypervisor "${name}"`, {
      remedy: `Give one of ${HYPERVISORS.map((known) => known.name).join(', ')}; upcall doctor tells which run here`,
    });
  const state = await choice.available();
  if (!state.available)
    throw new UpcallError('HYPERVISOR_UNAVAILABLE', `hypervisor ${name} cannot be used: ${state.reason}`, {
      remedy: state.remedy,
    });
  return choice.create();
}

/** Loaded when it is asked for: `--help` should not wait for it. */
async function createV86(): Promise<Hypervisor> {
  const { V86Hypervisor } = await import('../hypervisor/v86/v86-hypervisor.js');
  return new V86Hypervisor();
}

/** Named, because people look for it; honest, because it is not there yet. */
function notImplemented(name: string, about: string, device: string): HypervisorChoice {
  return {
    name,
    about,
    available: async () => ({
      available: false,
      reason: `this version of upcall does not implement it yet (${await deviceState(device)})`,
      remedy: USE_V86,
    }),
    create: () => Promise.reject(new Error(`hypervisor ${name} is not implemented`)),
  };
}

/** Whether a device file could be used, in words. */
export async function deviceState(path: string): Promise<string> {
  try {
    await access(path, constants.F_OK);
  } catch {
    return `${path} is not there`;
  }
  try {
    await access(path, constants.R_OK | constants.W_OK);
  } catch {
    return `${path} is there, but you may not open it`;
  }
  return `${path} is there and may be opened`;
}
