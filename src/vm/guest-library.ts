/**
 * The guest programs of the package, as paths that do not depend on where the package is installed.
 *
 * Called by: the command line, examples and tests.
 */

import { host } from '../host/current.js';
import { UpcallError } from '../io-request/upcall-error.js';

/**
 * `monitor`: interactive, reads and writes ports and memory, and shows interrupts. `hello`: prints
 * a greeting, reads port 0x500, powers off. `smp`: all vCPUs access devices at once. Their sources
 * are in guests/.
 */
export const GUEST_NAMES = ['monitor', 'hello', 'smp'] as const;
export type GuestName = (typeof GUEST_NAMES)[number];

/** The folder guests/ is beside dist/, in the repository and in the package. */
const FOLDER = new URL('../../guests/', import.meta.url);

export function isGuestName(name: string): name is GuestName {
  return GUEST_NAMES.some((known) => known === name);
}

/**
 * The path of a guest program, for `createUserVm({ image })`. Throws IMAGE_NOT_FOUND for another
 * name.
 */
export function guestImage(name: GuestName): string {
  if (!isGuestName(name))
    throw new UpcallError('IMAGE_NOT_FOUND', `no guest program "${String(name)}" comes with upcall`, {
      remedy: `There are ${GUEST_NAMES.join(', ')}`,
    });
  return host.fileName(new URL(`${name}.bin`, FOLDER));
}

/** The path of the compiled ACPI table DSDT, for guests that need ACPI. */
export function acpiDsdt(): string {
  return host.fileName(new URL('acpi/dsdt.aml', FOLDER));
}

/** The path of the code in front of a kernel that is not compressed (unpackedBzImage). */
export function kernelStart(): string {
  return host.fileName(new URL('kernel-start.bin', FOLDER));
}
