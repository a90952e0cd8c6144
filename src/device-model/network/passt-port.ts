/**
 * PasstPort: the network of the machine, by the program passt: without root and without changes of
 * the machine's configuration. The guest gets the machine's addresses by DHCP and NDP.
 *
 * Called by: a network card (virtio/net/).
 * Threads: the card's: that of the Service VM, or one of its own (placement/).
 *
 * passt gets one end of a pair of sockets, so there is no path that another user could open. It
 * ends when the other end is closed, also by a crash of this process.
 *
 * Source: passt(1).
 */

import { host } from '../../host/current.js';
import { PROGRAM_STREAM, type HostProgram } from '../../host/host-program.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import type { NetworkPort, NetworkReceiver } from './network-port.js';
import type { Offload } from './offload.js';
import { StreamPort } from './stream-port.js';

export interface PasstOptions {
  /**
   * Whether the guest reaches the loopback interface of the machine, by the address of the gateway.
   * Default: false, as servers that listen there trust their clients.
   */
  readonly loopback?: boolean;
  /** Called with what the operator should know: that passt has ended, and why. */
  readonly report?: (text: string) => void;
}

export class PasstPort implements NetworkPort {
  /** As its StreamPort. */
  readonly takesOffloads = true;
  readonly #program: HostProgram;
  readonly #port: StreamPort;
  #isClosed = false;

  /** Starts passt. Rejects with TOOL_MISSING if it is not installed. */
  static async start({ loopback = false, report = () => undefined }: PasstOptions = {}): Promise<PasstPort> {
    const parameters = ['--foreground', '--quiet', '--fd', `${PROGRAM_STREAM}`];
    // Otherwise passt maps the gateway's address to the loopback interface.
    if (!loopback) parameters.push('--no-map-gw');
    try {
      return new PasstPort(await host.startProgram('passt', parameters), report);
    } catch (cause) {
      throw new UpcallError('TOOL_MISSING', 'cannot run "passt", which connects the guest to the network', {
        remedy: 'Install it: apt install passt',
        cause,
      });
    }
  }

  private constructor(program: HostProgram, report: (text: string) => void) {
    this.#program = program;
    // The end of its stream takes the link down.
    this.#port = new StreamPort(program.stream, () => program.end());
    void program.ended.then(({ how, lastLines }) => {
      if (!this.#isClosed)
        report(`passt has ended (${how}), and the link is down: ${lastLines || 'it gives no reason'}`);
    });
  }

  connect(receiver: NetworkReceiver): void {
    this.#port.connect(receiver);
  }

  send(frame: Uint8Array, offload?: Offload): void {
    this.#port.send(frame, offload);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#port.close();
    this.#program.end();
    await this.#program.ended;
  }
}
