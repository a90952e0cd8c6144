/**
 * attachDevice: creates the device or card of a `--device` option, in a thread of its own if the
 * option says so, and attaches it.
 *
 * Called by: session-start.ts; watch/watched-device.ts, whose device is loaded anew when its file
 * changes.
 */

import { basename } from 'node:path';
import type { Device } from '../device-model/device.js';
import { CardClient } from '../device-model/pci/card-client.js';
import type { PciCard } from '../device-model/pci/pci-card.js';
import { loadCard, loadDevice, type DeviceContext } from '../device-model/placement/device-module.js';
import { ThreadClient } from '../device-model/placement/in-own-thread.js';
import { ThreadCard } from '../device-model/placement/thread-card.js';
import { inOwnThread, type ThreadPlacement } from '../device-model/placement/thread-placement.js';
import { reloadableCard, reloadableDevice, type ReloadParts } from '../device-model/reload/reload-device.js';
import type { ReloadObserver } from '../device-model/reload/reload-observer.js';
import { describeRange, type AddressRange } from '../hsm/address-range.js';
import type { IoClient } from '../hsm/io-client.js';
import { errorText } from '../io-request/error-text.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { IoRequestType } from '../io-request/layout.js';
import type { UserVm } from '../vm/user-vm.js';
import type { DeviceOption } from './device-option.js';

export interface AttachedDevice {
  readonly name: string;
  readonly module: URL;
  readonly client: IoClient;
  /** Whether it is in the Service VM's thread. */
  readonly isLocal: boolean;
  /** False once it was removed, by `detach` or by the HSM. */
  readonly isAttached: boolean;
  /** Resolves when the device is created. One in a thread of its own may not be yet. */
  readonly ready: Promise<unknown>;
  /** Loads its module anew. The observer gets the outcome. */
  readonly reload: () => void;
  /** Removes and closes it. May be called again. */
  readonly detach: () => void;
}

/**
 * `reloads`: its module may be loaded anew. Rejects as UserVm.attach, UserVm.attachCard and
 * loadDevice.
 */
export async function attachDevice(
  vm: UserVm,
  option: DeviceOption,
  reloads?: ReloadObserver,
): Promise<AttachedDevice> {
  const { place, module, inOwnThread: isThreaded } = option;
  if ('type' in place) expectTrapping(vm, place);
  const { device, reload, owner } = await createDevice(vm, option, reloads);
  let detach: () => void;
  let isClient: (client: IoClient) => boolean;
  if ('type' in place) {
    detach = vm.attach(place, device as Device | ThreadPlacement);
    isClient = (client) => vm.inspection.rangesOf(client).some((range) => isSame(range, place));
  } else {
    const card = device as PciCard | ThreadPlacement;
    // Each overload takes one of the two.
    const attached = await ('kind' in card ? vm.attachCard(card, place.address) : vm.attachCard(card, place.address));
    detach = () => attached.detach();
    isClient = (client) => client instanceof CardClient && client.fn.address === attached.address;
  }
  const client = vm.inspection.clients.find(isClient);
  if (client === undefined)
    throw new UpcallError('DEVICE_INVALID', `device ${owner.name} was removed while it was attached`, {
      remedy: 'See the messages before this one',
    });
  return {
    get name() {
      return client.name;
    },
    module,
    client,
    isLocal: !isThreaded,
    get isAttached() {
      return vm.inspection.clients.includes(client);
    },
    ready: client instanceof ThreadClient ? client.ready : Promise.resolve(),
    reload: reload ?? (() => reloadThread(client)),
    detach,
  };
}

interface Created {
  readonly device: Device | PciCard | ThreadPlacement;
  /** Of a device in this thread whose module may be loaded anew. */
  readonly reload?: () => void;
  /** The owner of its interrupt lines. */
  readonly owner: { readonly name: string };
}

async function createDevice(
  vm: UserVm,
  { module, place, options, inOwnThread: isThreaded }: DeviceOption,
  reloads?: ReloadObserver,
): Promise<Created> {
  // Until it is created, the device has the name of its module.
  const owner = { name: basename(module.pathname) };
  if (isThreaded) {
    const placement = inOwnThread(module, options);
    return { device: reloads === undefined ? placement : { ...placement, reloads }, owner };
  }
  const context: DeviceContext = {
    interruptLine: (gsi) => vm.interruptLine(gsi, owner),
    memory: vm.memory,
    clock: vm.clock,
  };
  const isCard = !('type' in place);
  const { href } = module;
  if (reloads === undefined) {
    const device = await (isCard ? loadCard(href, context, options) : loadDevice(href, context, options));
    owner.name = device.name;
    return { device, owner };
  }
  const onCloseError = (error: unknown): void =>
    vm.emit({ kind: 'device-error', device: owner.name, during: 'close', ...errorText(error) });
  const parts: ReloadParts = { module: href, options, context, observer: reloads, onCloseError };
  const created = await (isCard ? reloadableCard(parts) : reloadableDevice(parts));
  owner.name = created.device.name;
  return { ...created, owner };
}

/** Throws RANGE_OVERLAP if accesses at `range` never trap. */
function expectTrapping(vm: UserVm, range: AddressRange): void {
  const memoryEnd = vm.memory.size;
  if (range.type === IoRequestType.MMIO && Number(range.start) < memoryEnd && !isScreenMemory(range))
    throw new UpcallError('RANGE_OVERLAP', `${describeRange(range)} lies in guest memory, where no access traps`, {
      remedy: `Choose an address above 0x${memoryEnd.toString(16)}, for example mmio:0xd0000000, or in mmio:0xa0000-0xbffff`,
    });
}

/** Whether all of it lies where a PC has its screen memory, and no RAM. */
function isScreenMemory({ start, end }: AddressRange): boolean {
  return start >= 0xa_0000 && end <= 0xb_ffff;
}

function isSame(one: AddressRange, other: AddressRange): boolean {
  return one.type === other.type && one.start === other.start && one.end === other.end;
}

function reloadThread(client: IoClient): void {
  if (client instanceof ThreadClient) client.reload();
  else if (client instanceof CardClient && client.fn.card instanceof ThreadCard) client.fn.card.reload();
}
