/**
 * ROOT_PACKAGES: what the root file system of `upcall run debian --root` is made of, and
 * withDependencies, which adds what these need.
 *
 * Called by: rootImage, for the names; DebianMirror, for the dependencies. (apt finds them itself.)
 */

import type { PackageFields } from './package-fields.js';

/**
 * Beside the essential packages. usr-is-merged and mawk stand in for alternatives that need Perl
 * or are larger.
 */
export const ROOT_PACKAGES: readonly string[] = [
  'apt',
  'debian-archive-keyring',
  'e2fsprogs',
  'iproute2',
  'iputils-ping',
  'login',
  'mawk',
  'usr-is-merged',
];

/** About this number of packages, no more dependencies are added. Debian 12 needs a hundred. */
const MAX_PACKAGES = 1000;

export interface PackageList {
  readonly show: (name: string) => PackageFields | undefined;
  /** The packages that provide the virtual package `name`. */
  readonly providers: (name: string) => readonly string[];
}

/**
 * The packages `names` and all that they depend on. Of alternatives, one that is chosen already
 * counts, otherwise the first that exists. Versions are not compared: one archive is consistent.
 * `missing` has the names that do not exist, and alternatives as "a | b".
 */
export function withDependencies(
  names: readonly string[],
  { show, providers }: PackageList,
): { readonly chosen: readonly string[]; readonly missing: readonly string[] } {
  const chosen = new Set(names);
  const missing = new Set<string>();
  const provided = (name: string): string | undefined =>
    chosen.has(name) ? name : providers(name).find((one) => chosen.has(one));
  // The loop comes to the names that it adds, too: a Set has them in their order.
  for (const name of chosen) {
    if (chosen.size > MAX_PACKAGES) break;
    const fields = show(name);
    if (fields === undefined) missing.add(name);
    const relations = [fields?.get('Pre-Depends'), fields?.get('Depends')].join(',').split(',');
    for (const relation of relations) {
      const alternatives = relation.split('|').map((one) => one.trim().replace(/[ :(].*$/, ''));
      if (alternatives[0] === '' || alternatives.some((one) => provided(one) !== undefined)) continue;
      const found = alternatives
        .map((one) => (show(one) === undefined ? providers(one)[0] : one))
        .find((one) => one !== undefined);
      if (found === undefined) missing.add(alternatives.join(' | '));
      else chosen.add(found);
    }
  }
  return { chosen: [...chosen], missing: [...missing] };
}
