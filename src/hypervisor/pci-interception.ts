/**
 * interceptPci: PCI configuration accesses of a User VM as ACRN's hypervisor handles them before
 * the HSM. An option of the VM: without it every access to 0xCF8…0xCFF and to the ECAM window is a
 * request.
 *
 * The hypervisor keeps an address register of its own. It answers reads of 0xCF8 itself. A 4-byte
 * write sets the register and is forwarded, too. Shorter ones are ignored. Each write opens
 * 0xCFC…0xCFF for one access only, which clears the register. The hypervisor owns no PCI device
 * here, so every valid and enabled access is forwarded. Other reads give all ones, other writes are
 * dropped.
 *
 * Called by: serveVcpu, once in the thread of each vCPU. The VM has one register, as in ACRN: a
 * write by one vCPU opens the data ports for whichever accesses them first.
 */

import type { HandlerTables } from './hypervisor.js';

/** Indices in ACRN's table of port handlers. A lower index would win. */
const CONFIG_ADDRESS_INDEX = 3;
const CONFIG_DATA_INDEX = 4;
const CONFIG_ADDRESS = 0xcf8;
const CONFIG_DATA = 0xcfc;
const ENABLE = 0x8000_0000;
/**
 * Bits that the register drops: reserved ones, with those of extended registers, and its lowest
 * two.
 */
const NOT_KEPT = 0x7f00_0003;
const ECAM_START = 0xe000_0000;
/** 256 buses of 1 MiB. */
const ECAM_END = 0xf000_0000;
const ALL_ONES = 0xffff_ffff;

/** The address register of a VM: VmSharedState. */
export interface PciAddressRegister {
  pciAddress: number;
  takePciAddress(): number;
}

export function interceptPci(handlers: HandlerTables, register: PciAddressRegister): void {
  /** Reads and clears the register. Returns true if the access must be forwarded. */
  const open = (port: number, size: number): boolean =>
    (register.takePciAddress() & ENABLE) !== 0 && isValid(port - CONFIG_DATA, size);
  handlers.ports.register(CONFIG_ADDRESS_INDEX, CONFIG_ADDRESS, 1, {
    read: (_, size) => (size === 4 ? register.pciAddress >>> 0 : ALL_ONES),
    write: (_, size, value) => {
      if (size !== 4) return true;
      register.pciAddress = value & ~NOT_KEPT;
      return false;
    },
  });
  handlers.ports.register(CONFIG_DATA_INDEX, CONFIG_DATA, 4, {
    read: (port, size) => (open(port, size) ? undefined : ALL_ONES),
    write: (port, size) => !open(port, size),
  });
  handlers.mmio.register(ECAM_START, ECAM_END, {
    read: (gpa, size) => (isValid(gpa & 0xfff, size) ? undefined : ALL_ONES),
    write: (gpa, size) => !isValid(gpa & 0xfff, size),
  });
}

/** Configuration registers are accessed in 1, 2 or 4 bytes, each at a multiple of its size. */
function isValid(offset: number, size: number): boolean {
  return (size === 1 || size === 2 || size === 4) && offset % size === 0;
}
