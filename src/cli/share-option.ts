/**
 * `--share DIR[,rw][,tag=NAME]`: a folder of the host for the guest, over virtio.
 *
 * Called by: commands/run.ts (the parser) and commands/run-cards.ts.
 */

import { statSync, type Stats } from 'node:fs';
import { host } from '../host/current.js';
import { FolderError, FolderUnavailableError, type SharedFolder } from '../host/shared-folder.js';
import { UpcallError } from '../io-request/upcall-error.js';
import type { CardSource } from './card-source.js';

export interface ShareOption {
  /** As it was given. */
  readonly text: string;
  readonly folder: string;
  readonly isWritable: boolean;
  /** The guest mounts it by this name. */
  readonly tag: string;
}

const DEFAULT_TAG = 'share';
/** Also the name of a folder in the guest. */
const TAG = /^(?!\.\.?$)[\w.-]{1,31}$/;
const FORM = 'Write DIR, DIR,rw or DIR,rw,tag=NAME, for example --share src or --share out,rw,tag=out';

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
  let tag: string | undefined;
  for (const word of words)
    if (word === 'rw' && !isWritable) isWritable = true;
    else if (word.startsWith('tag=') && tag === undefined) {
      tag = word.slice('tag='.length);
      if (!TAG.test(tag))
        throw invalid(text, `invalid tag "${tag}"`, 'A tag has 1 to 31 letters, digits, dots, hyphens or underscores');
    } else throw invalid(text, `expected rw or tag=NAME, each once, not "${word}"`, FORM);
  const problem = folderProblem(folder);
  if (problem !== undefined)
    throw invalid(text, `${folder} is ${problem}`, 'Check the path, which is that of a folder');
  return { text, folder, isWritable, tag: tag ?? DEFAULT_TAG };
}

/** What speaks against sharing it. */
function folderProblem(path: string): string | undefined {
  let status: Stats;
  try {
    status = statSync(path);
  } catch {
    return 'not there';
  }
  return status.isDirectory() ? undefined : 'not a folder';
}

export function shareCard({ text, folder, isWritable, tag }: ShareOption): CardSource {
  return {
    option: `--share ${text}`,
    create: async () => {
      // Loaded on demand: other runs have no such device.
      const [{ ShareDevice }, { virtioPciCard }] = await Promise.all([
        import('../device-model/virtio/share/share-device.js'),
        import('../device-model/virtio/virtio-pci-card.js'),
      ]);
      return virtioPciCard(new ShareDevice({ folder: await open(text, folder, isWritable), tag }));
    },
  };
}

async function open(text: string, folder: string, isWritable: boolean): Promise<SharedFolder> {
  try {
    return await host.openFolder(folder, { isWritable });
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
