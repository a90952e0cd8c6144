/**
 * ReceiveFilter: which frames a card takes from the cable. It takes all until the driver says
 * otherwise.
 *
 * Called by: VirtioNet, and ControlCommands for the driver. Source: virtio 1.2, sections 5.1.6.5.1
 * and 5.1.6.5.2.
 */

import { BROADCAST, isGroup, type Mac } from '../../network/ethernet.js';

/** Addresses of each table. Of a longer one, all addresses of its kind are taken. */
export const MAX_TABLE_ADDRESSES = 64;

/** The modes that the driver switches on and off. */
export interface ReceiveModes {
  /** All frames are taken, whatever the other modes are. */
  promiscuous: boolean;
  allMulticast: boolean;
  allUnicast: boolean;
  noMulticast: boolean;
  noUnicast: boolean;
  noBroadcast: boolean;
}

export class ReceiveFilter {
  /** The card's address, as the driver has set it. */
  mac: Mac;
  readonly modes: ReceiveModes = {
    promiscuous: true,
    allMulticast: false,
    allUnicast: false,
    noMulticast: false,
    noUnicast: false,
    noBroadcast: false,
  };
  #unicast: AddressTable = NO_ADDRESSES;
  #multicast: AddressTable = NO_ADDRESSES;

  constructor(mac: Mac) {
    this.mac = mac;
  }

  /** Undefined: the table was longer than MAX_TABLE_ADDRESSES. */
  setTables(unicast: AddressTable, multicast: AddressTable): void {
    this.#unicast = unicast;
    this.#multicast = multicast;
  }

  accepts(destination: Mac): boolean {
    const modes = this.modes;
    if (modes.promiscuous) return true;
    if (destination === BROADCAST) return !modes.noBroadcast;
    if (isGroup(destination))
      return !modes.noMulticast && (modes.allMulticast || (this.#multicast?.has(destination) ?? true));
    return (
      !modes.noUnicast && (modes.allUnicast || destination === this.mac || (this.#unicast?.has(destination) ?? true))
    );
  }
}

/** Undefined stands for all addresses. */
export type AddressTable = ReadonlySet<Mac> | undefined;
const NO_ADDRESSES: AddressTable = new Set();
