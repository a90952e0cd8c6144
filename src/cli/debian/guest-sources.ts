/**
 * guestSources: what the guest's apt takes over from the machine's apt: Debian's sources, and how
 * they are reached.
 *
 * Called by: PrivateApt.
 */

import { readFile } from 'node:fs/promises';
import type { RootFile } from './root-archive.js';
import type { GuestSources } from './root-files.js';

/** Settings of apt that say how a source is reached and whether its dates count. */
const TAKEN_OVER =
  /^Acquire::(?:https?::(?:[^:]+::)?Proxy|Check-Valid-Until|Check-Date|https::Verify-[\w-]+) "[^"]+";$/;
const OWN_CERTIFICATES = /^Acquire::https::CAInfo "([^"]+)";$/m;
/** Where the machine and Debian's guest have the certificates of authorities. */
const CERTIFICATES = 'etc/ssl/certs/ca-certificates.crt';

/** `targets` has a line for each list, "URL RELEASE COMPONENT". `dump` is that of apt-config. */
export async function guestSources(targets: string, dump: string): Promise<GuestSources> {
  const lines = targets.split('\n').filter((line) => /^https?:/.test(line));
  const file = OWN_CERTIFICATES.exec(dump)?.[1];
  const certificates: RootFile[] = [];
  if (lines.some((line) => line.startsWith('https:'))) {
    // The guest has no package of certificates. They are public.
    const content = await readFile(file ?? `/${CERTIFICATES}`).catch(() => undefined);
    if (content !== undefined) certificates.push({ path: CERTIFICATES, content });
  }
  return {
    lines: [...new Set(lines.map((line) => `deb ${line}`))],
    configuration: dump.split('\n').filter((line) => TAKEN_OVER.test(line)),
    certificates,
  };
}
