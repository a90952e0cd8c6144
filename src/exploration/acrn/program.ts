/**
 * The explored code: the compiled modules of upcall, with the actors, as a program of the engine.
 * (An actor is the main function of an explored thread: service-vm-actor.ts, vcpu-actor.ts,
 * outsider-actors.ts. The thread of a device runs the shipped
 * device-model/placement/device-thread.ts.)
 *
 * Called by: explore-main.ts and tests; model.ts, for the names of modules.
 */

import type { Exports } from '../engine/code/rewritten-modules.js';
import { CodeBase } from '../engine/code/code-base.js';
import type { CodeChange } from '../engine/change/code-change.js';
import type { Compiler } from '../engine/compiler.js';
import { keepsCallbacks } from '../engine/machine/array-loops.js';
import { ExploredProgram } from '../engine/program.js';
import { ADAPTATIONS } from './adaptations.js';
import { RELAXED } from './relaxed-places.js';

/** The modules of the actors, and two that they use: the world they share, and the device. */
export const ACTOR = {
  WORLD: 'exploration/acrn/world',
  SERVICE_VM: 'exploration/acrn/service-vm-actor',
  VCPU: 'exploration/acrn/vcpu-actor',
  OUTSIDERS: 'exploration/acrn/outsider-actors',
  DEVICE: 'exploration/acrn/explored-device',
} as const;
export const DEVICE_THREAD = 'device-model/placement/device-thread';

/** Modules that only compute, and access no shared memory. */
const PLAIN = ['layout', 'state', 'io-request', 'upcall-error', 'error-text']
  .map((name) => `io-request/${name}`)
  .concat(['address-map', 'address-range', 'range-index'].map((name) => `hsm/${name}`));

/** By compiler: the modules, read and lowered (engine/code/) once for all programs. */
const codes = new WeakMap<Compiler, CodeBase>();

/**
 * The shipped code with `changes`. Throws an Error that begins with GONE for a change that does not
 * fit.
 */
export function acrnProgram(compiler: Compiler, changes: readonly CodeChange[] = []): ExploredProgram {
  let code = codes.get(compiler);
  if (code === undefined) {
    code = new CodeBase(compiler, {
      root: new URL('../../', import.meta.url),
      plain: PLAIN,
      mains: [DEVICE_THREAD],
      probes: ['exploration/engine/probe'],
      adaptations: ADAPTATIONS,
      relaxed: RELAXED,
    });
    codes.set(compiler, code);
  }
  return new ExploredProgram(code, [...Object.values(ACTOR), DEVICE_THREAD], changes, replacements);
}

/** What explored code gets instead of modules that need Node or a hypervisor. */
function replacements(program: ExploredProgram): ReadonlyMap<string, Exports> {
  const { runtime } = program;
  const host = {
    startedThread: () => ({
      data: runtime.life?.workerData,
      keepAlive: () => undefined,
      close: () => undefined,
      post: ({ kind, message }: { kind?: string; message?: string }) => {
        if (kind === 'failed') throw new Error(`a device's thread could not begin: ${message}`);
      },
    }),
  };
  const deviceModule = {
    loadDevice: keepsCallbacks((_module: unknown, _context: unknown, options: unknown) =>
      program.callNow({ module: ACTOR.DEVICE, name: 'exploredDevice', values: [options] }),
    ),
  };
  return new Map<string, Exports>([
    ['host/current', { host }],
    ['device-model/placement/device-module', deviceModule],
    // No actor uses the guest's memory.
    ['hypervisor/guest-memory', { GuestMemory: Object }],
  ]);
}
