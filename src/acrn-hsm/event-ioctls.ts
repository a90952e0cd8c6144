/**
 * IOEVENTFD, IRQFD and SETUP_VM_EVENT_FD: the ioctls that connect the caller's eventfds. They make
 * the driver's checks in its order. The work is in hsm/ioeventfd.ts (a guest's write signals an
 * eventfd), hsm/irqfd.ts (an eventfd injects an MSI) and hsm/acrn-vm-events.ts.
 *
 * Called by: HsmFile. Results are 0 or −errno.
 */

import { checkIoEvent, type IoEventRequest } from '../hsm/ioeventfd.js';
import { Errno } from '../io-request/errno.js';
import type { EventTable } from './event-table.js';
import type { IoctlVm } from './ioctl-vm.js';
import type { IOEVENTFD, IRQFD } from './struct-layout.js';
import type { StructView } from './struct-view.js';

// Bits of `flags` in struct acrn_ioeventfd. PIO: the address is a port.
const FLAG_PIO = 1;
const FLAG_DATAMATCH = 2;
export const FLAG_DEASSIGN = 4;
/**
 * The write becomes asynchronous I/O: the hypervisor completes it without a request and notifies
 * the HSM through a ring. Only ACRN's own kernel acts on this bit. Mainline Linux ignores it, as it
 * does every bit that it does not know.
 */
export const FLAG_ASYNCIO = 8;
/** Bit of `flags` in struct acrn_irqfd. */
const IRQ_FLAG_DEASSIGN = 1;

/**
 * IOEVENTFD: assigns or deassigns. With `hasExtensions` the ioctl has the meaning of ACRN's own
 * kernel, which knows FLAG_ASYNCIO.
 */
export function configureIoEvent(
  vm: IoctlVm,
  events: EventTable,
  args: StructView<typeof IOEVENTFD>,
  hasExtensions: boolean,
): number {
  if (args.number('reserved') !== 0) return Errno.EINVAL;
  const flags = args.number('flags');
  const request: IoEventRequest = {
    isPort: (flags & FLAG_PIO) !== 0,
    address: args.big('addr'),
    length: args.number('len'),
    ...((flags & FLAG_DATAMATCH) === 0 ? {} : { data: args.big('data') }),
  };
  const isDeassign = (flags & FLAG_DEASSIGN) !== 0;
  const isAsync = hasExtensions && (flags & FLAG_ASYNCIO) !== 0;
  // The driver checks address and length neither of asynchronous I/O nor at a deassignment.
  if (isAsync) {
    if (vm.asyncIo?.isSetUp !== true) return Errno.ENODEV;
  } else if (!isDeassign) {
    const check = checkIoEvent(request);
    if (check !== 0) return check;
  }
  const event = events.lookup(args.number('fd'));
  if (typeof event === 'number') return event;
  if (isAsync) {
    const { asyncIo } = vm;
    return (isDeassign ? asyncIo?.deassign(request, event) : asyncIo?.assign(request, event)) ?? Errno.ENODEV;
  }
  // As in the driver, a deassignment compares the eventfd only.
  return isDeassign ? vm.ioEvents.deassign(event) : vm.ioEvents.assign(request, event);
}

/** IRQFD: assigns or deassigns. */
export function configureIrqEvent(vm: IoctlVm, events: EventTable, args: StructView<typeof IRQFD>): number {
  const event = events.lookup(args.number('fd'));
  if (typeof event === 'number') return event;
  if ((args.number('flags') & IRQ_FLAG_DEASSIGN) !== 0) return vm.irqEvents.deassign(event);
  return vm.irqEvents.assign(event, { address: args.number('msi.msi_addr'), data: args.number('msi.msi_data') });
}

/**
 * SETUP_VM_EVENT_FD. The argument is the descriptor itself, an int, although the code of the ioctl
 * says that four bytes are read: so ACRN's device model, the only known caller, passes it.
 */
export function setVmEventFd(vm: IoctlVm, events: EventTable, argument: bigint): number {
  const event = events.lookup(Number(BigInt.asIntN(32, argument)));
  if (typeof event === 'number') return event;
  if (vm.vmEvents === undefined) return Errno.ENODEV;
  vm.vmEvents.setEvent(event);
  return 0;
}
