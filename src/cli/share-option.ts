/**
 * `--share DIR[,rw][,thread][,tag=NAME]`: a folder of the host for the guest, over virtio.
 *
 * Called by: commands/run.ts (the parser) and commands/run-cards.ts.
 */

import { statSync, type Stats } from 'node:fs';
import type { PciCard } from '../device-model/pci/pci-card.js';
import { inOwnThread } from '../device-model/placement/thread-placement.js';
import { FolderError, FolderUnavailableError } from '../host/shared-folder.js';
import { UpcallError } from '../io-request/upcall-error.js';
import type { CardSource } from './card-source.js';

export interface ShareOption {
  /** As it was given. */
  readonly text: string;
  readonly folder: string;
  readonly isWritable: boolean;
  readonly inOwnThread: boolean;
  /** The guest mounts it by this name. */
  readonly tag: string;
}

const DEFAULT_TAG = 'share';
/** Also the name of a folder in the guest. */
const TAG = /^(?!\.\.?$)[\w.-]{1,31}$/;
const FORM = 'Write DIR, then any of ,rw ,thread and ,tag=NAME, for example --share src or --share out,rw,tag=out';

/** Adds to `given`. Throws OPTION_INVALID, also if there is no such folder. */
export function addShare(text: string, given: readonly ShareOption[]): readonly ShareOption[] {
  const share = parseShare(text);
  if (given.some(({ tag }) => tag === share.tag))
    throw invalid(text, `another share has the tag ${share.tag}`, 'Give one of them another name: append ,tag=NAME');
  return [...given, share];
}

function parseShare(text: string): ShareOption {
  const [folder = '', ...words] = text.split(',');
  if (folder === '') throw invalid(text, 'the folder is missing', FORM);
  let isWritable = false;
  let inOwnThread = false;
  let tag: string | undefined;
  for (const word of words)
    if (word === 'rw' && !isWritable) isWritable = true;
    else if (word === 'thread' && !inOwnThread) inOwnThread = true;
    else if (word.startsWith('tag=') && tag === undefined) {
      tag = word.slice('tag='.length);
      if (!TAG.test(tag))
        throw invalid(text, `invalid tag "${tag}"`, 'A tag has 1 to 31 letters, digits, dots, hyphens or underscores');
    } else throw invalid(text, `expected rw, thread or tag=NAME, each once, not "${word}"`, FORM);
  const problem = folderProblem(folder);
  if (problem !== undefined)
    throw invalid(text, `${folder} is ${problem}`, 'Check the path, which is that of a folder');
  return { text, folder, isWritable, inOwnThread, tag: tag ?? DEFAULT_TAG };
}

/** Why the folder cannot be shared. Undefined if it can. */
function folderProblem(path: string): string | undefined {
  let status: Stats;
  try {
    status = statSync(path);
  } catch {
    return 'not there';
  }
  return status.isDirectory() ? undefined : 'not a folder';
}

/** The module of a card in a thread of its own. */
const MODULE = new URL('../device-model/virtio/share/share-card.js', import.meta.url);

/** Its `create` rejects with OPTION_INVALID if this host or this folder cannot be shared. */
export function shareCard({ text, inOwnThread: hasThread, ...options }: ShareOption): CardSource {
  return {
    option: `--share ${text}`,
    create: async () => {
      if (hasThread) return inOwnThread(MODULE, options);
      // Loaded on demand: other runs have no such device.
      const { openShareCard } = await import('../device-model/virtio/share/share-card.js');
      return open(text, () => openShareCard(options));
    },
  };
}

async function open(text: string, openCard: () => Promise<PciCard>): Promise<PciCard> {
  try {
    return await openCard();
  } catch (error) {
    if (error instanceof FolderError) throw invalid(text, error.message, 'Check the path and its permissions', error);
    if (!(error instanceof FolderUnavailableError)) throw error;
    throw invalid(
      text,
      `this host cannot share folders: ${error.message}`,
      'Share from Linux with /proc mounted',
      error,
    );
  }
}

function invalid(text: string, fact: string, remedy: string, cause?: unknown): UpcallError {
  return new UpcallError('OPTION_INVALID', `--share ${text}: ${fact}`, { remedy, cause });
}
