/**
 * PackageSource: where Debian's packages come from. PrivateApt is the machine's own apt,
 * DebianMirror fetches them by HTTPS.
 *
 * Called by: fetchDebian and rootImage.
 */

import type { PackageFields } from './package-fields.js';
import type { GuestSources } from './root-files.js';

/** Called with each step as a line of text, and again with how far it is. */
export type Progress = (step: string, part?: string) => void;

export interface PackageSource {
  /** Reads the lists of packages. Returns why some could not be read, or "". */
  update(): Promise<string>;
  /** The description of the newest version. Undefined if there is no such package. */
  show(name: string): Promise<PackageFields | undefined>;
  /** The names of all packages that begin with `prefix`. */
  names(prefix: string): Promise<string[]>;
  /** Returns the packages' files, in this order. Throws DOWNLOAD_FAILED. */
  download(names: readonly string[]): Promise<string[]>;
  /** The same with all that they depend on, and with the essential packages. */
  downloadWithNeeds(names: readonly string[]): Promise<string[]>;
  /** Where apt of a guest gets the same packages. */
  guestSources(): Promise<GuestSources>;
  /** What to do if a package is missing. */
  readonly remedy: string;
}
