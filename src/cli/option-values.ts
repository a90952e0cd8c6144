/**
 * The parsers of the options of `upcall run` that have one value. Each throws OPTION_INVALID with
 * the valid range.
 *
 * Called by: the commands, as parsers of commander.
 */

import { MAX_FIXED_SPIN_US, MAX_MEMORY_MIB } from '../vm/user-vm-options.js';
import { MAX_CPUS, type Pin } from '../vm/thread-pinning.js';
import { UpcallError } from '../io-request/upcall-error.js';

const KIB_PER_UNIT: Readonly<Record<string, number>> = { k: 1, m: 1024, g: 1024 * 1024 };

/** Returns MiB from `256`, `256M`, `1G` or `65536K`. `MiB` and `MB` mean the same. */
export function parseMemory(text: string): number {
  const match = /^(\d{1,9})\s*(?:([kmg])(?:i?b)?)?$/i.exec(text.trim());
  const kib = match === null ? NaN : Number(match[1]) * (KIB_PER_UNIT[(match[2] ?? 'm').toLowerCase()] as number);
  const mib = kib / 1024;
  if (Number.isInteger(mib) && mib >= 1 && mib <= MAX_MEMORY_MIB) return mib;
  throw new UpcallError('OPTION_INVALID', `--memory ${text}: expected whole MiB from 1 to ${MAX_MEMORY_MIB}`, {
    remedy: 'Give a size, for example 256, 256M or 1G',
  });
}

/** Returns milliseconds from seconds with up to three decimals. */
export function parseTimeout(text: string): number {
  const seconds = /^\d{1,6}(\.\d{1,3})?$/.test(text.trim()) ? Number(text) : NaN;
  if (seconds > 0) return Math.round(seconds * 1000);
  throw new UpcallError('OPTION_INVALID', `--timeout ${text}: expected seconds above 0 and below 1000000`, {
    remedy: 'Give a time, for example 30 or 2.5',
  });
}

/** Returns whole microseconds. */
export function parseSpin(text: string): number {
  const us = /^\d{1,6}$/.test(text.trim()) ? Number(text) : NaN;
  if (us <= MAX_FIXED_SPIN_US) return us;
  throw new UpcallError(
    'OPTION_INVALID',
    `--spin ${text}: expected whole microseconds from 0 to ${MAX_FIXED_SPIN_US}`,
    {
      remedy: 'Give a time, for example 50, or leave out --spin: it adapts by itself',
    },
  );
}

/** Returns `auto`, `none` or CPU numbers: `0,2-4` is 0, 2, 3, 4. */
export function parsePin(text: string): Pin {
  const trimmed = text.trim();
  if (trimmed === 'auto' || trimmed === 'none') return trimmed;
  const cpus = trimmed.split(',').flatMap((part) => {
    const [, first, last = first] = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part.trim()) ?? [];
    const length = Number(last) - Number(first) + 1;
    return length > 0 && length <= MAX_CPUS ? Array.from({ length }, (_, index) => Number(first) + index) : [NaN];
  });
  if (!cpus.some(Number.isNaN)) return cpus;
  throw new UpcallError('OPTION_INVALID', `--pin ${text}: expected auto, none or CPU numbers`, {
    remedy: "Give the Service VM's CPU first, then those of vCPUs, for example 0,1 or 0,2-5",
  });
}

/** The former name of `--spin`: always refused. */
export function refuseOldSpin(text: string): never {
  throw new UpcallError('OPTION_INVALID', '--look was renamed to --spin', { remedy: `Write --spin ${text}` });
}

/** Returns milliseconds, Infinity for `none`. */
export function parseClientTimeout(text: string): number {
  if (text.trim() === 'none') return Infinity;
  const ms = /^\d{1,9}$/.test(text.trim()) ? Number(text) : NaN;
  if (ms > 0) return ms;
  throw new UpcallError(
    'OPTION_INVALID',
    `--client-timeout ${text}: expected none or whole milliseconds from 1 to 999999999`,
    {
      remedy: 'Give a time, for example 5000',
    },
  );
}

/** Returns the text that the guest is to print, which must not be empty. */
export function parseExpected(text: string): string {
  if (text !== '') return text;
  throw new UpcallError('OPTION_INVALID', '--expect is empty', { remedy: 'Give a text that the guest is to print' });
}

/**
 * Returns a whole number from `min` to `max`, both inclusive. Throws OPTION_INVALID for any other
 * text.
 */
export function parseCount(option: string, text: string, min: number, max: number): number {
  const number = /^\d{1,16}$/.test(text.trim()) ? Number(text) : NaN;
  if (number >= min && number <= max) return number;
  const range = max > 1e6 ? `of at least ${min}` : `from ${min} to ${max}`;
  throw new UpcallError('OPTION_INVALID', `${option} ${text}: expected a whole number ${range}`, {
    remedy: `Give a number ${range}`,
  });
}
