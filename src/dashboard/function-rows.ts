/**
 * functionRow: a PCI function, decoded, as a row of the reply to `peek`.
 *
 * Called by: PageInspection. Threads: the Service VM's.
 */

import { DescriptorFlag } from '../device-model/virtio/guest-buffer.js';
import type { DescriptorView, QueueView } from '../device-model/virtio/queue-view.js';
import { VirtioStatus } from '../device-model/virtio/virtio-state.js';
import type { VirtioView } from '../device-model/virtio/virtio-view.js';
import { hex } from '../io-request/io-request.js';
import type { InspectedFunction } from '../vm/vm-inspection.js';
import type { DescriptorRow, FunctionRow, QueueRow, VirtioRow } from './protocol.js';

const FLAGS = [
  ['NEXT', DescriptorFlag.NEXT],
  ['WRITE', DescriptorFlag.WRITE],
  ['INDIRECT', DescriptorFlag.INDIRECT],
] as const;
const PACKED_FLAGS = [...FLAGS, ['AVAIL', 1 << 7], ['USED', 1 << 15]] as const;

export function functionRow(view: InspectedFunction): FunctionRow {
  const digits = (value: number, count: number): string => value.toString(16).padStart(count, '0');
  const ids = ({ vendor, device }: { readonly vendor: number; readonly device: number }): string =>
    `${digits(vendor, 4)}:${digits(device, 4)}`;
  const { address, name, command, status } = view;
  return {
    address,
    name,
    ids: ids(view),
    subsystem: ids(view.subsystem),
    class: digits(view.class, 6).replace(/..(?=.)/g, '$& '),
    revision: digits(view.revision, 2),
    command,
    status,
    bars: view.bars.map(({ size, isDecoded, ...bar }) => ({
      ...bar,
      address: hex(bar.address),
      size: size === undefined ? null : hex(size),
      isDecoded: isDecoded ?? null,
    })),
    capabilities: view.capabilities.map(({ at, name: capability, fields }) => ({
      at: hex(at),
      name: capability,
      fields,
    })),
    vectors: view.vectors.map((vector) => ({ ...vector, address: hex(vector.address), data: hex(vector.data) })),
    virtio: view.virtio === undefined ? null : virtioRow(view.virtio),
  };
}

function virtioRow({ status, features, queues, queueCount }: VirtioView): VirtioRow {
  return {
    status: Object.entries(VirtioStatus).map(([name, bit]) => ({ name, isSet: (status & bit) !== 0 })),
    features: features.map(({ name, isAccepted }) => ({ name, isSet: isAccepted })),
    queues: queues.map(queueRow),
    hiddenQueues: queueCount - queues.length,
  };
}

function queueRow({ descriptors, driver, device, shown, ...queue }: QueueView): QueueRow {
  return {
    ...queue,
    descriptors: hex(descriptors),
    driver: hex(driver),
    device: hex(device),
    shown: shown.map((one) => descriptorRow(one, queue.isPacked ? PACKED_FLAGS : FLAGS)),
  };
}

function descriptorRow(
  { address, flags, ...descriptor }: DescriptorView,
  names: readonly (readonly [string, number])[],
): DescriptorRow {
  const rest = names.reduce((bits, [, bit]) => bits & ~bit, flags);
  const known = names.filter(([, bit]) => (flags & bit) !== 0).map(([name]) => name);
  return { ...descriptor, address: hex(address), flags: rest === 0 ? known : [...known, hex(rest)] };
}
