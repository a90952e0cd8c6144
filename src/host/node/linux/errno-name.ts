/**
 * errnoName: the name of an error number, for messages.
 *
 * Called by: kvm-calls.ts, kernel-lines.ts and unix-sockets.ts; acrn-programs/started-program.ts.
 */

import { constants } from 'node:os';

/** "EINVAL" for 22, or "errno 999" for a number without a name. */
export function errnoName(errno: number): string {
  const found = Object.entries(constants.errno).find(([, value]) => value === errno);
  return found?.[0] ?? `errno ${errno}`;
}
