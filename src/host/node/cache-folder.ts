/**
 * The folder of what upcall keeps between its runs: a user's own, and safe to delete at any time.
 *
 * Called by: node-host.ts, as `Host.cacheFolder`; recorded-facts.ts.
 */

import { homedir } from 'node:os';
import { join } from 'node:path';

/** In XDG_CACHE_HOME or ~/.cache (XDG Base Directory Specification). */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const caches = environment['XDG_CACHE_HOME'];
  return join(caches === undefined || caches === '' ? join(homedir(), '.cache') : caches, 'upcall');
}
