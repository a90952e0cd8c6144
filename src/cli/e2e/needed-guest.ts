/**
 * What a test with a Debian guest needs of the machine. Each function gives the reason for a skip,
 * or false.
 *
 * Called by: the tests of this folder.
 */

import { spawnSync } from 'node:child_process';
import { networkInterfaces } from 'node:os';
import { UpcallError } from '../../io-request/upcall-error.js';
import type { Architecture } from '../debian/architecture.js';
import { fetchDebian } from '../debian/fetch-debian.js';

/** Fetches Debian's kernel at the first run, which needs apt or a network. */
export async function whyNoDebian(architecture: Architecture = 'i386'): Promise<string | false> {
  try {
    await fetchDebian({ architecture, progress: () => undefined });
    return false;
  } catch (error) {
    if (error instanceof UpcallError) return error.describe();
    throw error;
  }
}

/** passt shares the machine's own IPv4 address with the guest. */
export function whyNoPasst(): string | false {
  if (spawnSync('passt', ['--version']).status !== 0) return 'passt is not installed: apt install passt';
  const addresses = Object.values(networkInterfaces()).flatMap((list = []) => list);
  const isConnected = addresses.some(({ family, internal }) => family === 'IPv4' && !internal);
  return !isConnected && 'this machine has no IPv4 address for passt to share';
}
