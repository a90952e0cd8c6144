/** Compares a token that a page or a scraper has sent with that of the printed address. */

import { timingSafeEqual } from 'node:crypto';

/** Takes the same time wherever they differ, so that it cannot be guessed byte by byte. */
export function isSameToken(given: string, token: string): boolean {
  const [first, second] = [Buffer.from(given), Buffer.from(token)];
  return first.length === second.length && timingSafeEqual(first, second);
}
