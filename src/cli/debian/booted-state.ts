/**
 * The booted state of `upcall run debian` in the cache: the machine as it was saved when its user
 * space had started, so that the next run goes on from there instead of booting.
 *
 * Called by: `upcall run`, with the plan of a session that boots debian.
 *
 * A state is for one kernel, initial RAM disk, command line, set of options and build of upcall:
 * its name is a hash of these. What the options attach or run is not in it, so those boot cold.
 *
 * Half a second after init has started its shell, which then waits at its prompt, a process beside
 * it writes SAVE_POST_CODE, and afterwards sets the clock from the real-time clock, which follows
 * the host's: a state may be days old.
 */

import { createHash } from 'node:crypto';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UpcallError } from '../../io-request/upcall-error.js';
import type { GuestImageOptions } from '../../hypervisor/boot/guest-image.js';
import { readSnapshot, type Snapshot } from '../../vm/snapshot/snapshot.js';
import type { RunOptions } from '../commands/run-options.js';
import type { SessionPlan } from '../session.js';
import { debianCacheDir } from './fetch-debian.js';
import { SAVE_PARAMETER, SAVE_POST_CODE } from './initramfs.js';

/** States that are kept. They differ for example in the size of the terminal. */
const KEPT_STATES = 3;
const SUFFIX = '.state';

/**
 * The plan with the state from the cache. Without one, or with `--cold`, the plan boots, and saves
 * the state for the next run.
 */
export async function fromBootedState(plan: SessionPlan, options: RunOptions): Promise<SessionPlan> {
  const { image } = plan.vm;
  const why = whyCold(plan, options);
  if (why !== undefined || typeof image !== 'object') return announced(plan, why === undefined ? '' : ` (${why})`);
  const stateVersion = await plan.hypervisor.stateVersion?.();
  if (stateVersion === undefined) return plan;
  const folder = join(debianCacheDir(), 'states');
  const file = join(folder, `${await keyOf(plan, image, stateVersion)}${SUFFIX}`);
  const snapshot = options.cold === true ? undefined : await readState(file);
  if (snapshot !== undefined) {
    const savedAt = new Date(snapshot.parts.takenMs).toISOString().slice(0, 10);
    return { ...plan, snapshot, announce: `Debian goes on from its booted state of ${savedAt}; --cold boots it` };
  }
  // A session saves to one file, which is the user's own then.
  if (plan.save !== undefined) return announced(plan, '');
  await mkdir(folder, { recursive: true });
  return {
    ...announced(plan, ''),
    vm: { ...plan.vm, image: { ...image, cmdline: `${image.cmdline ?? ''} ${SAVE_PARAMETER}` } },
    save: { file, postCode: SAVE_POST_CODE, isQuiet: true, onSaved: () => prune(folder) },
  };
}

function announced(plan: SessionPlan, why: string): SessionPlan {
  return plan.announce === undefined ? plan : { ...plan, announce: `${plan.announce}${why}` };
}

/** Why the options need a boot, for the operator. Undefined: they do not. */
function whyCold(plan: SessionPlan, options: RunOptions): string | undefined {
  const needing = [
    ['--run', options.run !== undefined],
    ['--root', options.root !== undefined],
    ['--initrd', options.initrd !== undefined],
    ['--module', options.module.length > 0],
    ['--overlay', options.overlay !== undefined],
    ['--device', options.device.length > 0],
    ['--fault', plan.vm.faults !== undefined],
    ['a card', plan.cards.length > 0],
    ['--stats', plan.statistics],
  ] as const;
  const found = needing.find(([, given]) => given);
  return found && `${found[0]} needs a boot`;
}

async function keyOf(plan: SessionPlan, image: GuestImageOptions, stateVersion: string): Promise<string> {
  const { memoryMiB, vcpus, completionPolling } = plan.vm;
  // A checkout is built again without another version number.
  const self = await stat(fileURLToPath(import.meta.url));
  const hash = createHash('sha256');
  hash.update(
    JSON.stringify([stateVersion, self.mtimeMs, self.size, memoryMiB, vcpus, completionPolling, image.cmdline]),
  );
  for (const part of [image.image, image.vmlinux, image.initrd, image.dsdt]) {
    hash.update(`${part?.length ?? 0} `);
    if (part !== undefined) hash.update(part);
  }
  return hash.digest('hex').slice(0, 32);
}

/** Undefined if there is no state. One that cannot be read is removed. */
async function readState(file: string): Promise<Snapshot | undefined> {
  try {
    return await readSnapshot(file);
  } catch (error) {
    if (!(error instanceof UpcallError)) throw error;
    await rm(file, { force: true });
    return undefined;
  }
}

/** Removes all states but the newest. */
async function prune(folder: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(SUFFIX));
  const files = await Promise.all(
    names.map(async (name) => {
      const file = join(folder, name);
      return { file, mtimeMs: (await stat(file)).mtimeMs };
    }),
  );
  files.sort((a, b) => b.mtimeMs - a.mtimeMs);
  for (const { file } of files.slice(KEPT_STATES)) await rm(file, { force: true });
}
