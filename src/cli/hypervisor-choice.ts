/**
 * The choice of a hypervisor (`--hypervisor`): upcall's own by name, the user's by the file of a
 * module. To add a hypervisor to upcall, add it here and to the public index.
 *
 * Called by: the commands that create VMs, and `upcall doctor`.
 */

import type { Availability, Hypervisor } from '../hypervisor/hypervisor.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { isModuleName, loadHypervisor, moduleAvailability, withCheckedVms } from './hypervisor-module.js';

export interface HypervisorOptions {
  /** V86Options.translate. Others ignore it. */
  readonly translate?: boolean;
}

export interface HypervisorChoice {
  readonly name: string;
  /** Description in one line. */
  readonly about: string;
  /** Whether it can run a guest program here. */
  available(): Promise<Availability>;
  /** Must be called only if it is available. */
  create(options?: HypervisorOptions): Promise<Hypervisor>;
}

const USE_V86 = 'Use --hypervisor v86, which runs wherever Node.js does';

export const HYPERVISORS: readonly HypervisorChoice[] = [
  {
    name: 'v86',
    about: 'an embedded x86 emulator; needs nothing of the host',
    available: async () => (await createV86()).available(),
    create: createV86,
  },
  {
    name: 'kvm',
    about: "Linux's KVM: with VT-x or AMD-V the processor itself runs the guest",
    available: async () => (await createKvm()).available(),
    create: createKvm,
  },
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

/**
 * Rejects with OPTION_INVALID for an unknown name, HYPERVISOR_MODULE_INVALID for a file without a
 * hypervisor, and HYPERVISOR_UNAVAILABLE for one that does not run here.
 */
export async function chooseHypervisor(nameOrFile: string, options?: HypervisorOptions): Promise<Hypervisor> {
  const choice = isModuleName(nameOrFile) ? await moduleChoice(nameOrFile) : namedChoice(nameOrFile);
  const state = await choice.available();
  if (!state.available)
    throw new UpcallError('HYPERVISOR_UNAVAILABLE', `hypervisor ${nameOrFile} cannot be used: ${state.reason}`, {
      remedy: state.remedy,
    });
  return choice.create(options);
}

/** A module of the user. Rejects with HYPERVISOR_MODULE_INVALID. */
export async function moduleChoice(file: string): Promise<HypervisorChoice> {
  const hypervisor = await loadHypervisor(file);
  return {
    name: hypervisor.name,
    about: `the module ${file}`,
    available: () => moduleAvailability(file, hypervisor),
    create: () => Promise.resolve(withCheckedVms(file, hypervisor)),
  };
}

function namedChoice(name: string): HypervisorChoice {
  const choice = HYPERVISORS.find((known) => known.name === name);
  if (choice !== undefined) return choice;
  throw new UpcallError('OPTION_INVALID', `unknown hypervisor "${name}"`, {
    remedy: `Give one of ${HYPERVISORS.map((known) => known.name).join(', ')}, or the file of a module, for example ./${name}.js; upcall doctor lists those that run here`,
  });
}

/** Loaded on demand: `--help` must not wait for it. */
async function createV86(options?: HypervisorOptions): Promise<Hypervisor> {
  const { V86Hypervisor } = await import('../hypervisor/v86/v86-hypervisor.js');
  return new V86Hypervisor(options);
}

async function createKvm(): Promise<Hypervisor> {
  const { KvmHypervisor } = await import('../hypervisor/kvm/kvm-hypervisor.js');
  return new KvmHypervisor();
}
