/**
 * netCards: the PCI cards of `--net` options.
 *
 * Called by: cardsOf (commands/run-cards.ts).
 */

import type { CaptureFile } from '../device-model/network/capture-file.js';
import type { NetworkPort } from '../device-model/network/network-port.js';
import type { PciCard } from '../device-model/pci/pci-card.js';
import type { UserVm } from '../vm/user-vm.js';
import type { CardSource } from './card-source.js';
import type { NetOption } from './net-option.js';
import type { Reporter } from './reporter.js';

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

  async create(vm: UserVm): Promise<PciCard> {
    // Loaded on demand: other runs have no network.
    const [{ VirtioNet }, { virtioPciCard }, { CaptureFile }, { CapturePort }] = await Promise.all([
      import('../device-model/virtio/net/virtio-net.js'),
      import('../device-model/virtio/virtio-pci-card.js'),
      import('../device-model/network/capture-file.js'),
      import('../device-model/network/capture-port.js'),
    ]);
    const { mac, pcap } = this.#net;
    const report = (message: string): void => vm.emit({ kind: 'device-report', device: this.#name, message });
    if (pcap !== undefined) this.#capture = await CaptureFile.create(pcap, this.#name);
    try {
      const port = await this.#openPort(report);
      this.#port = this.#capture === undefined ? port : new CapturePort(port, this.#capture);
    } catch (error) {
      await this.#capture?.close();
      throw error;
    }
    // In front of the capture, which has what is on the cable.
    this.#port = vm.faults?.network(this.#name, this.#port) ?? this.#port;
    const device = new VirtioNet({ port: this.#port, name: this.#name, ...(mac === undefined ? {} : { mac }) });
    return virtioPciCard(device);
  }

  /** The card has closed the port. Closing it again only waits until it is closed. */
  async released(): Promise<void> {
    await this.#port?.close();
    const problem = this.#capture?.problem;
    if (problem !== undefined) this.#reporter.line(problem);
  }

  async #openPort(report: (message: string) => void): Promise<NetworkPort> {
    const { network } = this.#net;
    if (network.kind === 'passt') {
      const { PasstPort } = await import('../device-model/network/passt-port.js');
      return PasstPort.start({ loopback: network.loopback, report });
    }
    const { SocketHubPort } = await import('../device-model/network/socket-hub.js');
    const port = await SocketHubPort.join({ name: network.name, report });
    report(`hub ${network.name}: ${port.isServer ? `served at ${port.path}` : 'connected'}`);
    return port;
  }
}
