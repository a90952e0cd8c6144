/**
 * ServiceVmFiles: what ACRN's device model wants of the machine that it runs on, for machines and
 * users that lack it: the ACPI table of processors, huge pages, and a folder for its lock.
 *
 * Called by: notified-program.ts and path-calls.ts. acrn-server.ts creates it with
 * `--as-service-vm`.
 *
 * Huge pages are ordinary ones here: a VM's RAM lies in memory of the Service VM anyway.
 *
 * Sources: ACPI 6.4, 5.2.12 "Multiple APIC Description Table (MADT)"; PCI 3.0, 6.2.3.
 */

import { readFileSync, truncateSync } from 'node:fs';
import { closeDescriptor } from '../host/node/linux/descriptors.js';
import { memoryFile } from '../host/node/linux/memory-files.js';
import type { Notification, Notifications } from '../host/node/linux/notifications.js';
import { Errno } from '../io-request/errno.js';
import { SLOT_COUNT } from '../io-request/layout.js';

const MADT_PATH = '/sys/firmware/acpi/tables/APIC';
const HUGE_PAGES = '/sys/kernel/mm/hugepages/hugepages-2048kB';
const LARGER_PAGES = '/sys/kernel/mm/hugepages/hugepages-1048576kB';
const LOCK_FOLDER = '/run/hugepage/acrn';
/** 128 GiB of 2-MiB pages: enough for any VM. */
const PAGES_TEXT = '65536\n';
/** As much, of which only what is written takes memory. */
const HUGE_FILE_BYTES = 2 ** 37;

/** Of memfd_create's flags: the logarithm of the page size. */
const MFD_HUGE_SHIFT = 26n;
const SIZE_2_MIB = 21n;

const CONFIGURATION_PATH = /^\/sys\/bus\/pci\/devices\/[^/]+\/config$/;
const CONFIGURATION_BYTES = 256;
const HEADER_TYPE_0_BYTES = 64;
/** The low byte of the status register, and a bit of it. */
const STATUS = 6;
const HAS_CAPABILITIES = 0x10;

// Of the MADT: the table's header with its own two words, and an entry for one local APIC.
const HEADER_BYTES = 44;
const LOCAL_APIC_BYTES = 8;
const MADT_REVISION = 4;
const LOCAL_APIC_ADDRESS = 0xfee0_0000;
const ENABLED = 1;

export class ServiceVmFiles {
  readonly #contents: ReadonlyMap<string, Uint8Array> = new Map([
    [MADT_PATH, madt()],
    [`${HUGE_PAGES}/nr_hugepages`, Buffer.from(PAGES_TEXT)],
    [`${HUGE_PAGES}/free_hugepages`, Buffer.from(PAGES_TEXT)],
    [`${LARGER_PAGES}/nr_hugepages`, Buffer.from('0\n')],
    [`${LARGER_PAGES}/free_hugepages`, Buffer.from('0\n')],
  ]);
  /** One open file for all programs: they lock it by lockf(3), whose locks belong to processes. */
  #lock: number | undefined;

  /** Whether access(2) is to find `path`. If not, the system answers. */
  has(path: string): boolean {
    return LOCK_FOLDER === path || LOCK_FOLDER.startsWith(`${path}/`) || this.#contents.has(path);
  }

  /**
   * open(2): passes a descriptor of this process to `give`. `give` must copy it, because it may be
   * closed afterwards. Returns false for a path that is not answered here.
   */
  open(path: string, give: (fd: number) => void): boolean {
    if (path === `${LOCK_FOLDER}/lock`) {
      give((this.#lock ??= memoryFile('lock')));
      return true;
    }
    const bytes = this.#contents.get(path) ?? configurationSpace(path);
    if (bytes === undefined) return false;
    // A file for each open: descriptors of one file share their position.
    const fd = memoryFile('file', bytes);
    give(fd);
    closeDescriptor(fd);
    return true;
  }

  /** memfd_create(2) with MFD_HUGETLB: ordinary memory instead of 2-MiB pages. */
  createMemory(notification: Notification, notifications: Notifications): void {
    const flags = notification.args[1] ?? 0n;
    if (flags >> MFD_HUGE_SHIFT !== SIZE_2_MIB) {
      notifications.answer(notification, Errno.ENODEV);
      return;
    }
    // A mapping extends a file of huge pages. One of ordinary pages has to be long enough before.
    const fd = memoryFile('huge-pages');
    truncateSync(`/proc/self/fd/${fd}`, HUGE_FILE_BYTES);
    notifications.answerWithDescriptor(notification, fd, true);
    closeDescriptor(fd);
  }

  close(): void {
    if (this.#lock !== undefined) closeDescriptor(this.#lock);
  }
}

/**
 * The configuration space of a PCI device of this machine. Linux shows an ordinary user only its
 * header, and the device model would loop forever over the capabilities behind it. So the bit that
 * announces them is cleared, and all bytes behind the header are 0. Undefined for other paths, and
 * where the system shows all of it.
 */
function configurationSpace(path: string): Uint8Array | undefined {
  if (!CONFIGURATION_PATH.test(path)) return undefined;
  try {
    const shown = readFileSync(path);
    if (shown.length >= CONFIGURATION_BYTES || shown.length < HEADER_TYPE_0_BYTES) return undefined;
    const bytes = new Uint8Array(CONFIGURATION_BYTES);
    bytes.set(shown);
    bytes[STATUS] = (bytes[STATUS] as number) & ~HAS_CAPABILITIES;
    return bytes;
  } catch {
    return undefined;
  }
}

/** A MADT with a local APIC for each CPU that a VM can be given. APIC ID n is CPU n. */
function madt(): Uint8Array {
  const length = HEADER_BYTES + SLOT_COUNT * LOCAL_APIC_BYTES;
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  bytes.set(Buffer.from('APIC'));
  view.setUint32(4, length, true);
  bytes[8] = MADT_REVISION;
  bytes.set(Buffer.from('UPCALLSERVICE '), 10);
  view.setUint32(36, LOCAL_APIC_ADDRESS, true);
  for (let cpu = 0; cpu < SLOT_COUNT; cpu++) {
    // Type 0, length, processor, APIC ID, flags.
    const at = HEADER_BYTES + cpu * LOCAL_APIC_BYTES;
    bytes.set([0, LOCAL_APIC_BYTES, cpu, cpu], at);
    view.setUint32(at + 4, ENABLED, true);
  }
  // All bytes add up to 0.
  bytes[9] = 0x100 - (bytes.reduce((sum, byte) => sum + byte, 0) & 0xff);
  return bytes;
}
