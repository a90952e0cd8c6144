/**
 * The values that options of the command line take, from text. Each throws OPTION_INVALID with what
 * to write instead.
 */

import { MAX_FIXED_SPIN_US, MAX_MEMORY_MIB } from '../vm/user-vm-options.js';
import { UpcallError } from '../io-request/upcall-error.js';

const KIB_PER_UNIT: Readonly<Record<string, number>> = { k: 1, m: 1024, g: 1024 * 1024 };

/** `256`, `256M`, `1G`, `65536K`, also `MiB` and `MB`, which mean the same here: in MiB. */
export function parseMemory(text: string): number {
  const match = /^(\d{1,9})\s*(?:([kmg])(?:i?b)?)?$/i.exec(text.trim());
  const kib = match === null ? NaN : Number(match[1]) * (KIB_PER_UNIT[(match[2] ?? 'm').toLowerCase()] as number);
  const mib = kib / 1024;
  if (Number.isInteger(mib) && mib >= 1 && mib <= MAX_MEMORY_MIB) return mib;
  throw new UpcallError('OPTION_INVALID', `--memory ${text} is no size that a VM can have`, {
    remedy: `Give whole MiB from 1 to ${MAX_MEMORY_MIB}, for example 256, 256M or 1G`,
  });
}

/** Seconds, decimals allowed, in ms. */
export function parseTimeout(text: string): number {
  const seconds = /^\d{1,6}(\.\d{1,3})?$/.test(text.trim()) ? Number(text) : NaN;
  if (seconds > 0) return seconds * 1000;
  throw new UpcallError('OPTION_INVALID', `--timeout ${text} is no time`, {
    remedy: 'Give seconds above 0, for example 30 or 2.5',
  });
}

/** Microseconds. */
export function parseSpin(text: string): number {
  const us = /^\d{1,6}$/.test(text.trim()) ? Number(text) : NaN;
  if (us <= MAX_FIXED_SPIN_US) return us;
  throw new UpcallError('OPTION_INVALID', `--spin ${text} is no time that a thread may look`, {
    remedy: `Give whole microseconds from 0 to ${MAX_FIXED_SPIN_US}, for example 50`,
  });
}

/** Milliseconds, or `none`, which is no limit. */
export function parseClientTimeout(text: string): number {
  if (text.trim() === 'none') return Infinity;
  const ms = /^\d{1,9}$/.test(text.trim()) ? Number(text) : NaN;
  if (ms > 0) return ms;
  throw new UpcallError('OPTION_INVALID', `--client-timeout ${text} is no time`, {
    remedy: 'Give whole milliseconds above 0, for example 5000, or none',
  });
}

export function parseExpected(text: string): string {
  if (text !== '') return text;
  throw new UpcallError('OPTION_INVALID', '--expect is empty', { remedy: 'Give a text that the guest prints' });
}
