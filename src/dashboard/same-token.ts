/**
 * isSameToken: compares a token that a page or a scraper has sent with that of the printed address.
 *
 * Called by: PageConnection, PageServer.
 */

import { timingSafeEqual } from 'node:crypto';

/**
 * For a `given` of the right length, takes the same time wherever the two differ, so that the token
 * cannot be guessed byte by byte.
 */
export function isSameToken(given: string, token: string): boolean {
  const [first, second] = [Buffer.from(given), Buffer.from(token)];
  return first.length === second.length && timingSafeEqual(first, second);
}
