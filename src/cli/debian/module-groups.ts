/**
 * MODULE_GROUPS: the modules of the kernel's package that upcall's devices need, by what they are
 * for. Dependencies are not listed: the modules name them.
 *
 * Called by: fetchDebian, which keeps these modules; ModuleChoice, which loads groups of them.
 */

export const MODULE_GROUPS = {
  block: ['virtio_pci', 'virtio_blk'],
  net: ['virtio_pci', 'virtio_net'],
  console: ['virtio_pci', 'virtio_console'],
  entropy: ['virtio_pci', 'virtio_rng'],
  /** A shared folder: 9P over virtio. */
  share: ['virtio_pci', '9pnet_virtio', '9p'],
  /** Devices over MMIO instead of PCI. */
  mmio: ['virtio_mmio'],
  /** Also mounts ext2. The checksums are loaded by name: no dependency mentions them. */
  ext4: ['crc32c_generic', 'ext4'],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export type ModuleGroup = keyof typeof MODULE_GROUPS;

export const KEPT_MODULES: readonly string[] = [...new Set(Object.values(MODULE_GROUPS).flat())];
