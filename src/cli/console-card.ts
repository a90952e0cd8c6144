/**
 * ConsoleCard: the PCI card of `--console` and `--port` options: one virtio console.
 *
 * Called by: planSession, which creates it; startSession and runSession, as CardSource.
 */

import type { PciCard } from '../device-model/pci/pci-card.js';
import type { ConsoleBackend } from '../device-model/virtio/console/console-backend.js';
import type { NamedPort } from '../device-model/virtio/console/virtio-console.js';
import type { UserVm } from '../vm/user-vm.js';
import type { CardSource } from './card-source.js';
import type { PortOption } from './port-option.js';
import { TerminalBackend } from './ports/terminal-backend.js';

const NAME = 'virtio-console';

/** The part of a terminal's stream that has its size. */
export interface SizedStream {
  readonly columns?: number;
  readonly rows?: number;
  on(event: 'resize', listener: () => void): unknown;
}

export class ConsoleCard implements CardSource {
  readonly option: string;
  /** Defined with `--console`. The session attaches its streams. */
  readonly terminal: TerminalBackend | undefined;
  readonly #ports: readonly PortOption[];
  readonly #stream: SizedStream;
  #closed: Promise<void> | undefined;

  /** The console has the size of `stream`. */
  constructor(hasTerminal: boolean, ports: readonly PortOption[], stream: SizedStream = process.stdout) {
    this.option = hasTerminal ? '--console' : `--port ${ports[0]?.text}`;
    this.terminal = hasTerminal ? new TerminalBackend() : undefined;
    this.#ports = ports;
    this.#stream = stream;
  }

  async create(vm: UserVm): Promise<PciCard> {
    // Loaded on demand: other runs have no such device.
    const [{ VirtioConsole }, { virtioPciCard }] = await Promise.all([
      import('../device-model/virtio/console/virtio-console.js'),
      import('../device-model/virtio/virtio-pci-card.js'),
    ]);
    const report = (message: string): void => vm.emit({ kind: 'device-report', device: NAME, message });
    const ports: NamedPort[] = [];
    try {
      for (const option of this.#ports) ports.push({ name: option.name, backend: await open(option, report) });
    } catch (error) {
      await Promise.all(ports.map(({ backend }) => backend.close()));
      throw error;
    }
    const device = new VirtioConsole({
      name: NAME,
      ports,
      ...(this.terminal === undefined ? {} : { console: this.terminal }),
    });
    this.#closed = device.closed;
    if (this.terminal !== undefined) {
      const resize = (): void => device.resize(this.#stream.columns ?? 0, this.#stream.rows ?? 0);
      resize();
      this.#stream.on('resize', resize);
    }
    return virtioPciCard(device);
  }

  async released(): Promise<void> {
    await this.#closed;
  }
}

async function open(option: PortOption, report: (message: string) => void): Promise<ConsoleBackend> {
  const text = `--port ${option.text}`;
  if (option.kind === 'file') {
    const { FileBackend } = await import('./ports/file-backend.js');
    return FileBackend.create(text, option.path, report);
  }
  const { SocketBackend } = await import('./ports/socket-backend.js');
  return SocketBackend.listen(text, option.path);
}
