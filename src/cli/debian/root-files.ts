/**
 * rootFiles: the files of the root file system that no package has: host names, mounts, and where
 * the guest's apt fetches packages.
 *
 * Called by: rootImage.
 */

import { DPKG_LEAVES_OUT, type RootFile } from './root-archive.js';

/** What the guest's apt gets from the host: lines of sources.list and apt.conf, certificates. */
export interface GuestSources {
  readonly lines: readonly string[];
  readonly configuration: readonly string[];
  /** By path in the guest. */
  readonly certificates: readonly RootFile[];
}

/**
 * To save the guest processor time: gzip unpacks a list several times faster than xz, translations
 * are not read, and whole lists are fetched instead of patches of them.
 */
const APT_CONFIGURATION = [
  'Acquire::Languages "none";',
  'Acquire::PDiffs "false";',
  'Acquire::CompressionTypes::Order { "gz"; };',
  'APT::Install-Recommends "false";',
];

export function rootFiles({ lines, configuration, certificates }: GuestSources): RootFile[] {
  const text = (path: string, ...content: string[]): RootFile => ({ path, content: content.join('\n') + '\n' });
  return [
    text('etc/hostname', 'debian'),
    text('etc/hosts', '127.0.0.1 localhost', '127.0.1.1 debian', '::1 localhost ip6-localhost'),
    text('etc/fstab', '/dev/vda / ext4 noatime 0 0'),
    { path: 'etc/dpkg/dpkg.cfg.d/upcall', content: DPKG_LEAVES_OUT },
    text('etc/apt/sources.list', ...lines),
    text('etc/apt/apt.conf.d/90upcall', ...APT_CONFIGURATION, ...configuration),
    ...certificates,
  ];
}
