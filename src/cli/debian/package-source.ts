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
  /**
   * Reads the lists of packages. Must be called before the other methods. Returns why some lists
   * could not be read, or "". Rejects with TOOL_MISSING, DOWNLOAD_FAILED or SIGNATURE_INVALID, and
   * like all methods with the signal's reason after an abort.
   */
  update(): Promise<string>;
  /** The description of the newest version. Undefined if there is no such package. */
  show(name: string): Promise<PackageFields | undefined>;
  /** The names of all packages that begin with `prefix`. */
  names(prefix: string): Promise<string[]>;
  /** Returns the paths of the packages' files, in this order. Rejects with DOWNLOAD_FAILED. */
  download(names: readonly string[]): Promise<string[]>;
  /**
   * Also downloads all that the packages depend on, and the essential packages. Returns the paths
   * in any order. Rejects with DOWNLOAD_FAILED.
   */
  downloadWithNeeds(names: readonly string[]): Promise<string[]>;
  /** Where apt of a guest gets the same packages. */
  guestSources(): Promise<GuestSources>;
  /** What to do if a package is missing. */
  readonly remedy: string;
}
