/**
 * virtioPciCard: a virtio device as a PCI card: the registers of the modern PCI transport in BAR 0,
 * an MSI-X vector for each queue and one for the configuration, and INTA#.
 *
 * Called by: the modules of cards (net/, block/ and share/), the command line, and programs that
 * attach it with `UserVm.attachCard`; vm/vm-inspection.ts, for `virtioViewOf`.
 * Threads: the card's: that of the Service VM, or one of its own (placement/).
 *
 * Source: virtio 1.2, section 4.1. There is no transitional interface. The PCI configuration access
 * capability (section 4.1.4.9), by which a driver reaches registers without a BAR, has no effect in
 * a card with a thread of its own.
 */

import type { AccessSize } from '../device.js';
import type { CardDoorbell, CardHandle, PciCapability, PciCard, PciDescription } from '../pci/pci-card.js';
import type { RegisterMap } from '../register-map.js';
import { RingMemory } from './ring-memory.js';
import type { VirtioDevice } from './virtio-device.js';
import { ConfigAccess } from './config-access.js';
import { CommonConfig, commonRegisters } from './pci-common-config.js';
import { VirtioState } from './virtio-state.js';
import type { VirtioView } from './virtio-view.js';

/** Virtio 1.2, section 4.1.2: the PCI device ID is FIRST_DEVICE plus the virtio device ID. */
const VENDOR = 0x1af4;
const FIRST_DEVICE = 0x1040;
/** The PCI revision. A device of revision 1 or higher is not transitional. */
const REVISION = 1;
const VENDOR_SPECIFIC = 9;

const CapabilityType = { COMMON: 1, NOTIFY: 2, ISR: 3, DEVICE: 4, CONFIG_ACCESS: 5 } as const;
/** Bytes of a capability that names a structure, with identifier and link. */
const CAPABILITY_BYTES = 16;

/** Where the structures lie in BAR 0, each in a page of its own. */
export const VirtioBar = { COMMON: 0x0000, ISR: 0x1000, DEVICE: 0x2000, NOTIFY: 0x3000, SIZE: 0x4000 } as const;
/** Between the notification registers of two queues. */
export const NOTIFY_MULTIPLIER = 4;

/** Bits of the ISR status. */
const Isr = { QUEUE: 1, CONFIG: 2 } as const;

/** The parts of a card that exist once it is attached. */
interface Connected {
  readonly card: CardHandle;
  readonly state: VirtioState;
  readonly common: CommonConfig;
}

export interface VirtioOptions {
  /** Offers the packed ring as well, which Linux then prefers. Default: false, as in other VMMs. */
  readonly packed?: boolean;
}

export function virtioPciCard(device: VirtioDevice, options: VirtioOptions = {}): PciCard {
  return new VirtioPciCard(device, options);
}

/**
 * A virtio card's status, features and queues for the operator. Undefined for other cards, also for
 * a ThreadCard, whose virtio device is in another thread.
 */
export function virtioViewOf(card: PciCard): VirtioView | undefined {
  return card instanceof VirtioPciCard ? card.view : undefined;
}

class VirtioPciCard implements PciCard {
  readonly name: string;
  readonly pci: PciDescription;
  readonly registers: RegisterMap = commonRegisters;
  readonly doorbells: readonly CardDoorbell[];
  readonly #device: VirtioDevice;
  readonly #packed: boolean;
  #connected: Connected | undefined;
  /** Causes of the pin's interrupt. A read clears them. */
  #isr = 0;
  readonly #window = new ConfigAccess(VirtioBar.SIZE, this);

  constructor(device: VirtioDevice, { packed = false }: VirtioOptions) {
    this.#packed = packed;
    const queues = device.queueSizes.length;
    this.name = device.name;
    this.#device = device;
    this.pci = {
      vendor: VENDOR,
      device: FIRST_DEVICE + device.type,
      class: device.pciClass,
      revision: REVISION,
      bars: [{ type: 'memory', size: VirtioBar.SIZE }],
      msix: queues + 1,
      interruptPin: 'A',
      capabilities: capabilitiesOf(device),
    };
    this.doorbells = device.queueSizes.map((_, queue) => ({
      bar: 0,
      offset: VirtioBar.NOTIFY + queue * NOTIFY_MULTIPLIER,
    }));
  }

  get view(): VirtioView | undefined {
    return this.#connected?.state.view;
  }

  connect(card: CardHandle): void {
    const memory = new RingMemory({ memory: card.memory, isAllowed: () => card.isBusMaster });
    const common = new CommonConfig(this.#device.queueSizes.length);
    const state = new VirtioState({
      device: this.#device,
      packed: this.#packed,
      memory,
      interruptQueue: (index) => this.#interrupt(Isr.QUEUE, common.vectorOf(index)),
      interruptConfig: () => this.#interrupt(Isr.CONFIG, common.configVector),
      onNeedsReset: (reason) => card.report(`needs a reset: ${reason}`),
    });
    this.#connected = { card, state, common };
  }

  read(_bar: number, offset: number, size: AccessSize): number {
    const { card, state, common } = this.#attached;
    if (offset < VirtioBar.ISR) return common.read(state, offset, size);
    if (offset < VirtioBar.DEVICE) {
      if (offset !== VirtioBar.ISR) return 0;
      const isr = this.#isr;
      this.#isr = 0;
      card.lower();
      return isr;
    }
    return offset < VirtioBar.NOTIFY ? state.readConfig(offset - VirtioBar.DEVICE, size) : 0;
  }

  write(_bar: number, offset: number, size: AccessSize, value: number): void {
    const { state, common } = this.#attached;
    if (offset < VirtioBar.ISR) common.write(state, offset, size, value);
    else if (offset >= VirtioBar.NOTIFY) this.#notifyAt(offset);
    else if (offset >= VirtioBar.DEVICE) state.writeConfig(offset - VirtioBar.DEVICE, size, value);
  }

  peek(_bar: number, offset: number, size: AccessSize): number | undefined {
    const { state, common } = this.#attached;
    if (offset < VirtioBar.ISR) return common.read(state, offset, size);
    if (offset === VirtioBar.ISR) return this.#isr;
    return offset >= VirtioBar.DEVICE && offset < VirtioBar.NOTIFY
      ? state.readConfig(offset - VirtioBar.DEVICE, size)
      : undefined;
  }

  /** The only live capability is that of `#window`. */
  readCapability(_index: number, offset: number, size: AccessSize): number {
    return this.#window.read(offset, size);
  }

  writeCapability(_index: number, offset: number, size: AccessSize, value: number): void {
    this.#window.write(offset, size, value);
  }

  rung(doorbell: number): void {
    this.#attached.state.notify(doorbell);
  }

  reset(): void {
    const { state, common } = this.#attached;
    this.#isr = 0;
    this.#window.reset();
    common.reset();
    state.reset();
  }

  close(): void | Promise<void> {
    return this.#device.close?.();
  }

  /** The queue is that of the register, whatever the driver writes to it. */
  #notifyAt(offset: number): void {
    const distance = offset - VirtioBar.NOTIFY;
    if (distance % NOTIFY_MULTIPLIER === 0) this.#attached.state.notify(distance / NOTIFY_MULTIPLIER);
  }

  #interrupt(cause: number, vector: number | undefined): void {
    const { card } = this.#attached;
    if (!card.isMsixEnabled) {
      this.#isr |= cause;
      card.raise();
    } else if (vector !== undefined) card.interrupt(vector);
  }

  get #attached(): Connected {
    if (this.#connected === undefined) throw new Error(`${this.name} is not attached to a VM`);
    return this.#connected;
  }
}

function capabilitiesOf(device: VirtioDevice): readonly PciCapability[] {
  const notifyBytes = device.queueSizes.length * NOTIFY_MULTIPLIER;
  return [
    capability(CapabilityType.COMMON, VirtioBar.COMMON, CommonConfig.BYTES),
    capability(CapabilityType.ISR, VirtioBar.ISR, 1),
    ...(device.config.length === 0 ? [] : [capability(CapabilityType.DEVICE, VirtioBar.DEVICE, device.config.length)]),
    capability(CapabilityType.NOTIFY, VirtioBar.NOTIFY, notifyBytes, NOTIFY_MULTIPLIER),
    // With 4 more bytes: the window itself.
    { ...capability(CapabilityType.CONFIG_ACCESS, 0, 0, 0), isLive: true },
  ];
}

/** Where a structure lies in BAR 0. `extra`: 4 more bytes, as the multiplier of NOTIFY. */
function capability(type: number, offset: number, length: number, extra?: number): PciCapability {
  const size = CAPABILITY_BYTES + (extra === undefined ? 0 : 4);
  const bytes = new Uint8Array(size - 2);
  const view = new DataView(bytes.buffer);
  // BAR 0, and no other structure of this type.
  bytes.set([size, type, 0, 0, 0, 0]);
  view.setUint32(6, offset, true);
  view.setUint32(10, length, true);
  if (extra !== undefined) view.setUint32(14, extra, true);
  return { id: VENDOR_SPECIFIC, bytes };
}
