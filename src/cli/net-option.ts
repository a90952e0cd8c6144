/**
 * `--net NETWORK[,WORD…]`: a network card for the guest, as a virtio device on the PCI bus.
 *
 * NETWORK is `passt`, the network of this machine, or `hub:NAME`, a hub that the VMs of one user
 * share. WORD is `mac=ADDRESS`, `pcap=FILE`, `thread` or, with passt, `loopback`.
 *
 * Called by: `upcall run` and `upcall serve`.
 */

import { resolve } from 'node:path';
import { macText, parseMac } from '../device-model/network/ethernet.js';
import type { NetworkOptions } from '../device-model/virtio/net/net-card.js';
import { isHubName } from '../device-model/network/hub-name.js';
import { UpcallError } from '../io-request/upcall-error.js';

export interface NetOption {
  /** As it was given. */
  readonly text: string;
  readonly network: NetworkOptions;
  readonly inOwnThread: boolean;
  /** Default: a random one. */
  readonly mac?: string;
  /** The file to which the card's packets are captured. */
  readonly pcap?: string;
}

const FORM =
  'Write passt or hub:NAME, then any of ,mac=52:54:00:12:34:56 ,pcap=FILE ,thread and, with passt, ,loopback, for example hub:lab,pcap=lab.pcapng';

/** Throws OPTION_INVALID. */
export function parseNet(text: string): NetOption {
  const [network = '', ...words] = text.split(',');
  const values = new Map<string, string>();
  for (const word of words) {
    const equals = word.indexOf('=');
    const name = equals === -1 ? word : word.slice(0, equals);
    if (values.has(name)) throw invalid(text, `${name} is given twice`, `Leave out one of the two: ${word}`);
    values.set(name, equals === -1 ? '' : word.slice(equals + 1));
    const isKnown = equals === -1 ? word === 'loopback' || word === 'thread' : name === 'mac' || name === 'pcap';
    if (!isKnown) throw invalid(text, `unknown word "${word}"`, FORM);
  }
  const [mac, pcap] = [values.get('mac'), values.get('pcap')];
  if (pcap === '') throw invalid(text, 'the file of pcap= is missing', FORM);
  const inOwnThread = values.has('thread');
  if (inOwnThread && pcap !== undefined)
    throw invalid(text, 'packets of a card with a thread of its own cannot be captured', 'Leave out ,thread or ,pcap=');
  return {
    text,
    inOwnThread,
    network: parseNetwork(text, network, values.has('loopback')),
    ...(mac === undefined ? {} : { mac: macText(parseMac(mac)) }),
    ...(pcap === undefined ? {} : { pcap }),
  };
}

/** Throws OPTION_INVALID, also if two cards would have the same address or file. */
export function addNet(text: string, nets: readonly NetOption[]): NetOption[] {
  const added = parseNet(text);
  for (const { mac, pcap } of nets) {
    if (mac !== undefined && mac === added.mac)
      throw invalid(text, `another card has the address ${mac}`, 'Give each card an address of its own, or none');
    if (pcap !== undefined && added.pcap !== undefined && resolve(pcap) === resolve(added.pcap))
      throw invalid(text, `the packets of another card go to ${pcap}`, 'Give each card a file of its own');
  }
  return [...nets, added];
}

function parseNetwork(text: string, network: string, loopback: boolean): NetOption['network'] {
  if (network === 'passt') return { kind: 'passt', loopback };
  const name = /^hub:(.*)$/s.exec(network)?.[1];
  if (name === undefined)
    throw invalid(text, network === '' ? 'the network is missing' : `unknown network "${network}"`, FORM);
  if (!isHubName(name))
    throw invalid(
      text,
      `invalid name of a hub: "${name}"`,
      'Use 1 to 32 letters, digits, dots, underscores and hyphens, for example hub:lab',
    );
  if (loopback) throw invalid(text, 'a hub has no loopback', 'Leave out ,loopback');
  return { kind: 'hub', name };
}

function invalid(text: string, fact: string, remedy: string): UpcallError {
  return new UpcallError('OPTION_INVALID', `--net ${text}: ${fact}`, { remedy });
}
