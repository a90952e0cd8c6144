/**
 * Replaces a file as a whole: writes a new one beside it, then renames that.
 *
 * Called by: node-host.ts, which loads it on demand.
 *
 * The unfinished file has the name of the file, the process's number and a counter. It is removed
 * if anything fails. If the process is killed meanwhile, that one stays, and the file is the old
 * one.
 */

import { open, rename, rm } from 'node:fs/promises';

let replacements = 0;

/** Writes `parts` one after the other. Rejects with Node's error, and then `file` is as before. */
export async function replaceFile(file: string, parts: readonly Uint8Array[]): Promise<void> {
  const unfinished = `${file}.${process.pid}-${replacements++}.tmp`;
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
