/**
 * Replaces a file as a whole: writes a new one beside it, then renames that.
 *
 * Called by: node-host.ts, which loads it on demand.
 *
 * The unfinished file has the name of the file and a random number: several threads, and processes
 * of the same number in other containers, may replace a file at the same time. It is removed if
 * anything fails. If the process is killed meanwhile, that one stays, and the file is the old one.
 */

import { randomUUID } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';

/** Writes `parts` one after the other. Rejects with Node's error, and then `file` is as before. */
export async function replaceFile(file: string, parts: readonly Uint8Array[]): Promise<void> {
  const unfinished = `${file}.${randomUUID()}.tmp`;
  try {
    const handle = await open(unfinished, 'wx', 0o600);
    try {
      for (const part of parts) for (let at = 0; at < part.length;) at += (await handle.write(part, at)).bytesWritten;
      // Else a crash of the machine could leave the new name with nothing behind it.
      await handle.datasync();
    } finally {
      await handle.close();
    }
    await rename(unfinished, file);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
}
