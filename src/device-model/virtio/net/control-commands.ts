/**
 * ControlCommands: the driver's commands on the control queue: receive modes, address tables, the
 * card's address.
 *
 * Called by: VirtioNet. Source: virtio 1.2, section 5.1.6.5.
 *
 * A command is class, number and data in the readable part of a buffer. The answer is one byte.
 */

import { isGroup, MAC_BYTES, macAt, type Mac } from '../../network/ethernet.js';
import type { VirtqueueBuffer } from '../virtqueue.js';
import { ControlAck, ControlClass, MacCommand, NetFeature, RxCommand } from './net-layout.js';
import { MAX_TABLE_ADDRESSES, type AddressTable, type ReceiveFilter, type ReceiveModes } from './receive-filter.js';

/** The head of a command: class and number, a byte each. */
const COMMAND_BYTES = 2;
/** The head of a table: how many addresses follow. */
const COUNT_BYTES = 4;

const MODES: Readonly<Record<number, keyof ReceiveModes>> = {
  [RxCommand.PROMISC]: 'promiscuous',
  [RxCommand.ALLMULTI]: 'allMulticast',
  [RxCommand.ALLUNI]: 'allUnicast',
  [RxCommand.NOMULTI]: 'noMulticast',
  [RxCommand.NOUNI]: 'noUnicast',
  [RxCommand.NOBCAST]: 'noBroadcast',
};

export interface ControlCommandsOptions {
  readonly filter: ReceiveFilter;
  /** Whether the driver has accepted a feature. */
  readonly has: (feature: number) => boolean;
  /** The driver has changed `filter.mac`. */
  readonly onMac: () => void;
}

export class ControlCommands {
  readonly #options: ControlCommandsOptions;

  constructor(options: ControlCommandsOptions) {
    this.#options = options;
  }

  /** Executes the command in `buffer`. Returns its answer: ControlAck. */
  execute(buffer: VirtqueueBuffer): number {
    const command = new Uint8Array(COMMAND_BYTES);
    if (buffer.read(0, command) < COMMAND_BYTES) return ControlAck.ERR;
    const [kind, number = 0] = command;
    let isDone = false;
    if (kind === ControlClass.RX) isDone = this.#setMode(number, buffer);
    else if (kind === ControlClass.MAC && number === MacCommand.TABLE_SET) isDone = this.#setTables(buffer);
    else if (kind === ControlClass.MAC && number === MacCommand.ADDR_SET) isDone = this.#setAddress(buffer);
    return isDone ? ControlAck.OK : ControlAck.ERR;
  }

  #setMode(number: number, buffer: VirtqueueBuffer): boolean {
    const { filter, has } = this.#options;
    const isExtra = number > RxCommand.ALLMULTI;
    const mode = MODES[number];
    const data = dataOf(buffer, 1);
    if (mode === undefined || data === undefined) return false;
    if (!has(isExtra ? NetFeature.CTRL_RX_EXTRA : NetFeature.CTRL_RX)) return false;
    filter.modes[mode] = data[0] !== 0;
    return true;
  }

  /** Two tables of addresses: those of cards, then those of groups. */
  #setTables(buffer: VirtqueueBuffer): boolean {
    const { filter, has } = this.#options;
    if (!has(NetFeature.CTRL_RX)) return false;
    const unicast = readTable(buffer, COMMAND_BYTES);
    const multicast = unicast && readTable(buffer, unicast.end);
    if (multicast?.end !== buffer.readableBytes) return false;
    filter.setTables(unicast?.addresses, multicast.addresses);
    return true;
  }

  #setAddress(buffer: VirtqueueBuffer): boolean {
    const { filter, has, onMac } = this.#options;
    const data = dataOf(buffer, MAC_BYTES);
    if (data === undefined || !has(NetFeature.CTRL_MAC_ADDR)) return false;
    const mac = macAt(data, 0);
    if (mac === 0 || isGroup(mac)) return false;
    filter.mac = mac;
    onMac();
    return true;
  }
}

/** What follows the command, if it is of exactly this size. */
function dataOf(buffer: VirtqueueBuffer, bytes: number): Uint8Array | undefined {
  if (buffer.readableBytes !== COMMAND_BYTES + bytes) return undefined;
  const data = new Uint8Array(bytes);
  return buffer.read(COMMAND_BYTES, data) === bytes ? data : undefined;
}

/** The table at `offset`, and where it ends. Undefined if the buffer ends inside it. */
function readTable(buffer: VirtqueueBuffer, offset: number): { addresses: AddressTable; end: number } | undefined {
  const count = new Uint8Array(COUNT_BYTES);
  if (buffer.read(offset, count) < COUNT_BYTES) return undefined;
  const entries = new DataView(count.buffer).getUint32(0, true);
  const end = offset + COUNT_BYTES + entries * MAC_BYTES;
  if (end > buffer.readableBytes) return undefined;
  if (entries > MAX_TABLE_ADDRESSES) return { addresses: undefined, end };
  const bytes = new Uint8Array(entries * MAC_BYTES);
  if (buffer.read(offset + COUNT_BYTES, bytes) < bytes.length) return undefined;
  const addresses = new Set<Mac>();
  for (let at = 0; at < bytes.length; at += MAC_BYTES) addresses.add(macAt(bytes, at));
  return { addresses, end };
}
