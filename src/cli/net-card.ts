/**
 * netCards: the PCI cards of `--net` options.
 *
 * Called by: cardsOf (commands/run-cards.ts), commands/serve.ts.
 */

import type { CaptureFile } from '../device-model/network/capture-file.js';
import type { NetworkPort } from '../device-model/network/network-port.js';
import type { PciCard } from '../device-model/pci/pci-card.js';
import { inOwnThread, type ThreadPlacement } from '../device-model/placement/thread-placement.js';
import type { UserVm } from '../vm/user-vm.js';
import type { CardSource } from './card-source.js';
import { expectNoRule } from './fault-option.js';
import type { NetOption } from './net-option.js';
import type { Reporter } from './reporter.js';

/** The module of a card in a thread of its own. */
const MODULE = new URL('../device-model/virtio/net/net-card.js', import.meta.url);

export function netCards(options: readonly NetOption[], reporter: Reporter): readonly CardSource[] {
  return options.map(
    (option, index) => new NetCard(option, index === 0 ? 'virtio-net' : `virtio-net-${index + 1}`, reporter),
  );
}

class NetCard implements CardSource {
  readonly option: string;
  readonly #net: NetOption;
  readonly #name: string;
  readonly #reporter: Reporter;
  #port: NetworkPort | undefined;
  #capture: CaptureFile | undefined;

  constructor(net: NetOption, name: string, reporter: Reporter) {
    this.option = `--net ${net.text}`;
    this.#net = net;
    this.#name = name;
    this.#reporter = reporter;
  }

  async create(vm: UserVm): Promise<PciCard | ThreadPlacement> {
    const { mac, pcap, network, inOwnThread: hasThread } = this.#net;
    const options = { name: this.#name, network, ...(mac === undefined ? {} : { mac }) };
    if (hasThread) {
      expectNoRule(vm, 'net', this.#name);
      return inOwnThread(MODULE, options);
    }
    // Loaded on demand: other runs have no network.
    const [{ VirtioNet }, { openPort }, { virtioPciCard }, { CaptureFile }, { CapturePort }] = await Promise.all([
      import('../device-model/virtio/net/virtio-net.js'),
      import('../device-model/virtio/net/net-card.js'),
      import('../device-model/virtio/virtio-pci-card.js'),
      import('../device-model/network/capture-file.js'),
      import('../device-model/network/capture-port.js'),
    ]);
    const report = (message: string): void => vm.emit({ kind: 'device-report', device: this.#name, message });
    if (pcap !== undefined) this.#capture = await CaptureFile.create(pcap, this.#name);
    try {
      const port = await openPort(network, report);
      this.#port = this.#capture === undefined ? port : new CapturePort(port, this.#capture);
    } catch (error) {
      await this.#capture?.close();
      throw error;
    }
    // In front of the capture, which has what is on the cable.
    this.#port = vm.faults?.network(this.#name, this.#port) ?? this.#port;
    return virtioPciCard(new VirtioNet({ ...options, port: this.#port }));
  }

  /** The card has closed the port. Closing it again only waits until it is closed. */
  async released(): Promise<void> {
    await this.#port?.close();
    const problem = this.#capture?.problem;
    if (problem !== undefined) this.#reporter.line(problem);
  }
}
