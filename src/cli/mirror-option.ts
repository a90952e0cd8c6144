/**
 * `--mirror URL`: a mirror of Debian's archive, for `upcall run debian` without apt.
 *
 * Called by: `upcall run`.
 */

import { UpcallError } from '../io-request/upcall-error.js';

/**
 * Returns the URL without a slash at its end. HTTP is accepted: every byte is checked against
 * Debian's signature. Throws OPTION_INVALID.
 */
export function parseMirror(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.search === '' && url.hash === '')
    return text.replace(/\/+$/, '');
  throw new UpcallError('OPTION_INVALID', `--mirror ${text} is not the URL of a mirror`, {
    remedy: 'Give the folder that has dists and pool, for example https://deb.debian.org/debian',
  });
}
