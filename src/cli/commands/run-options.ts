/**
 * RunOptions: the options of `upcall run` as commander parses them (run.ts describes each), and the
 * guest that they name.
 *
 * Called by: run.ts and debian-guest.ts. run-cards.ts, top.ts and trace-options.ts use the types.
 */

import { acpiDsdt, GUEST_NAMES, guestImage, isGuestName } from '../../vm/guest-library.js';
import type { LatePolicy } from '../../hsm/late-policy.js';
import type { GuestImageOptions, ImageKind } from '../../hypervisor/boot/guest-image.js';
import type { BootModule } from '../../hypervisor/boot/multiboot.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import { readImage } from '../../vm/image-file.js';
import type { Pin } from '../../vm/thread-pinning.js';
import type { DeviceOption } from '../device-option.js';
import type { DiskOption } from '../disk-option.js';
import type { FaultOptions } from '../fault-option.js';
import type { NetOption } from '../net-option.js';
import type { PageOptions } from '../page-option.js';
import type { PortOption } from '../port-option.js';
import type { ShareOption } from '../share-option.js';

export interface RunOptions extends FaultOptions, PageOptions {
  readonly hypervisor: string;
  /** In MiB. */
  readonly memory?: number;
  /** 1…16. */
  readonly vcpus?: number;
  readonly cmdline?: string;
  readonly kernel?: string;
  readonly initrd?: string;
  readonly module: readonly ModuleOption[];
  readonly kind?: ImageKind;
  readonly acpi: boolean;
  /** Of `--device`, which may be repeated, as may the other lists. */
  readonly device: readonly DeviceOption[];
  /** Load the modules of `device` anew when their files change. */
  readonly watch?: boolean;
  /** Attach a virtio entropy device. */
  readonly entropy?: boolean;
  /** The terminal is a virtio console. */
  readonly console?: boolean;
  /** Ports of the virtio console. */
  readonly port: readonly PortOption[];
  readonly disk: readonly DiskOption[];
  /** Folders of the host. */
  readonly share: readonly ShareOption[];
  readonly net: readonly NetOption[];
  readonly polling?: boolean;
  /** In microseconds. */
  readonly spin?: number;
  readonly pin?: Pin;
  /** In ms. */
  readonly clientTimeout?: number;
  /** What happens to a device that exceeds `clientTimeout`. */
  readonly late?: LatePolicy;
  readonly lateStacks?: boolean;
  readonly expect?: string;
  /** In ms. */
  readonly timeout?: number;
  readonly stats?: boolean;
  /** Report the register coverage of `device`. A text: write it to this file. */
  readonly coverage?: string | true;
  readonly tour?: boolean;
  /** A folder whose files debian gets. */
  readonly overlay?: string;
  /** A root file system from Debian's packages. A text: its changes are kept in this overlay. */
  readonly root?: string | true;
  /** The URL of a mirror that debian is fetched from. */
  readonly mirror?: string;
  /** The file of a snapshot. */
  readonly save?: string;
  /** The guest is saved when it prints this. */
  readonly saveAfter?: string;
  /** Boot debian also if its booted state is in the cache. */
  readonly cold?: boolean;
  /** Commands for debian's shell. */
  readonly run?: string;
}

/** `--module FILE[,TEXT]`. */
export interface ModuleOption {
  readonly file: string;
  /** The module's string. */
  readonly text: string;
}

/**
 * The text is what follows the first comma. Without a comma it is the file as it was given. Throws
 * OPTION_INVALID without a file.
 */
export function parseModule(option: string): ModuleOption {
  const comma = option.indexOf(',');
  const file = comma === -1 ? option : option.slice(0, comma);
  if (file === '')
    throw new UpcallError('OPTION_INVALID', `--module ${option}: the file is missing`, {
      remedy: 'Write FILE or FILE,TEXT, for example --module ramdisk.gz,"ramdisk $(add-ramdisk)"',
    });
  return { file, text: comma === -1 ? option : option.slice(comma + 1) };
}

/** What runs in the VM. */
export interface Guest {
  readonly name: string;
  /** A snapshot has none. */
  readonly image?: GuestImageOptions;
  /** For the operator of a terminal, if the guest takes long to boot. */
  readonly announce?: string;
  /** Default: that of UserVmOptions. */
  readonly memoryMiB?: number;
  /** Comes before those of `--disk`. */
  readonly rootDisk?: DiskOption;
}

/** The monitor's command line for `--tour`. Without a terminal it powers off at the end. */
export function tourScript(hasTerminal: boolean): string {
  return hasTerminal ? 'tour' : 'tour; poweroff';
}

/** A guest of `upcall run [IMAGE]` but Debian. Rejects with OPTION_INVALID, or as readImage. */
export async function namedGuest(name: string | undefined, options: RunOptions, hasTerminal: boolean): Promise<Guest> {
  if (name !== undefined && options.kernel !== undefined)
    throw new UpcallError('OPTION_INVALID', `two guests are given: ${name} and --kernel ${options.kernel}`, {
      remedy: 'Leave out one of them',
    });
  if (options.run !== undefined)
    throw new UpcallError('OPTION_INVALID', 'only debian takes --run', {
      remedy: 'Give commands to the monitor with --cmdline, or run: upcall run debian --run …',
    });
  if (options.cold === true)
    throw new UpcallError('OPTION_INVALID', 'only debian takes --cold', { remedy: 'Leave out --cold' });
  if (options.root !== undefined)
    throw new UpcallError('OPTION_INVALID', 'only debian takes --root', {
      remedy: 'Leave it out, or run: upcall run debian --root',
    });
  if (options.mirror !== undefined)
    throw new UpcallError('OPTION_INVALID', 'only debian takes --mirror', { remedy: 'Leave out --mirror' });
  if (options.overlay !== undefined)
    throw new UpcallError('OPTION_INVALID', 'only debian takes --overlay', {
      remedy: 'Leave it out, or run: upcall run debian --overlay …',
    });
  if (options.tour === true && (options.kernel ?? name ?? 'monitor') !== 'monitor')
    throw new UpcallError('OPTION_INVALID', 'only the monitor has a tour', { remedy: 'Leave out --tour' });
  if (options.tour === true && options.cmdline !== undefined)
    throw new UpcallError('OPTION_INVALID', '--tour and --cmdline exclude each other', {
      remedy: 'Leave out --tour and give --cmdline "tour; …"',
    });
  const file = options.kernel ?? name ?? 'monitor';
  const isOwn = options.kernel === undefined && isGuestName(file);
  const cmdline = options.tour === true ? tourScript(hasTerminal) : options.cmdline;
  return {
    name: file,
    image: {
      image: isOwn ? await readImage(guestImage(file)) : await readNamed(file),
      ...(await partsOfGuest(options)),
      ...(cmdline === undefined ? {} : { cmdline }),
    },
  };
}

/** What the options add to any image: its kind, RAM disk, modules and the firmware's tables. */
export async function partsOfGuest(options: RunOptions): Promise<Partial<GuestImageOptions>> {
  const modules: BootModule[] = [];
  for (const { file, text } of options.module) modules.push({ bytes: await readImage(file), text });
  return {
    ...(options.kind === undefined ? {} : { kind: options.kind }),
    ...(options.initrd === undefined ? {} : { initrd: await readImage(options.initrd) }),
    ...(modules.length === 0 ? {} : { modules }),
    biosTables: true,
    ...(options.acpi ? { dsdt: await readImage(acpiDsdt()) } : {}),
  };
}

/** As `readImage`, but the remedy also lists the guests' names. */
async function readNamed(file: string): Promise<Uint8Array> {
  try {
    return await readImage(file);
  } catch (error) {
    if (!(error instanceof UpcallError) || error.code !== 'IMAGE_NOT_FOUND') throw error;
    throw new UpcallError(error.code, error.message, {
      remedy: `Give ${GUEST_NAMES.join(', ')}, debian, or the path of a guest image`,
      cause: error,
    });
  }
}
