/**
 * Facts that stay true from run to run, such as that the CPU core passed its self-test. Each is an
 * empty file in the cache folder, whose name is the fact. Only the operator removes them.
 *
 * Called by: node-host.ts, which loads it on demand.
 */

import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder } from './cache-folder.js';
import { makeFolder } from './files.js';

function folder(): string {
  return join(cacheFolder(), 'facts');
}

function fileOf(fact: string): string {
  return join(folder(), fact);
}

export async function isRecorded(fact: string): Promise<boolean> {
  try {
    return (await stat(fileOf(fact))).isFile();
  } catch {
    return false;
  }
}

/** Does nothing where the folder cannot be written. */
export async function record(fact: string): Promise<void> {
  try {
    await makeFolder(folder());
    await writeFile(fileOf(fact), '');
  } catch {
    // A fact that is not recorded is established again.
  }
}
