/**
 * SocketHubPort: a port of a hub that processes of one user share by its name. The first process
 * serves the hub, the others connect to it. When the server ends, another one takes its place.
 *
 * Called by: openPort (virtio/net/net-card.ts) and programs, which join; a network card, as its
 * port.
 * Threads: the card's: that of the Service VM, or one of its own (placement/).
 *
 * A file lock decides who serves: the system releases it when its holder ends, however that
 * happens. The protocol is that of QEMU's `-netdev stream`, so a QEMU can connect to the socket,
 * too. A process that comes when the hub has all its peers gets a length that no frame has.
 */

import { host } from '../../host/current.js';
import type { ByteStream } from '../../host/byte-stream.js';
import type { FileLock, LocalServer, LocalSockets } from '../../host/local-sockets.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import { isHubName } from './hub-name.js';
import { joinPorts, NetworkHub } from './network-hub.js';
import type { NetworkPort, NetworkReceiver } from './network-port.js';
import type { Offload } from './offload.js';
import { StreamPort, type StreamEnd } from './stream-port.js';

/** Connections from other processes to one hub. */
export const MAX_HUB_PEERS = 32;
/** How long a port may take to join at first. Later it tries until it is closed. */
export const JOIN_MS = 5000;
/** Between two attempts: at first, then doubled up to the second one. */
const FIRST_RETRY_MS = 20;
const MAX_RETRY_MS = 1000;
/** A length that no frame has: the other side's StreamPort ends with `wrong-length`. */
const REFUSAL = Uint8Array.of(0xff, 0xff, 0xff, 0xff);

export interface SocketHubOptions {
  /** The name of the hub: 1 to 32 letters, digits, `.`, `_` and `-` (isHubName). */
  readonly name: string;
  /** Called with what the operator should know: which process serves, and that a hub is lost. */
  readonly report?: (text: string) => void;
  /** Default: those of the host. */
  readonly sockets?: LocalSockets;
}

/** What connects the port to the hub at present. */
interface Membership {
  readonly port: NetworkPort;
  /** How many other processes are connected. Undefined where another one serves. */
  readonly peers?: () => number;
  readonly end: () => Promise<void>;
}

export class SocketHubPort implements NetworkPort {
  /** As the ports of a hub and of a stream. */
  readonly takesOffloads = true;
  readonly #name: string;
  readonly #sockets: LocalSockets;
  readonly #report: (text: string) => void;
  /** Undefined before it has joined, and between two servers: frames are lost meanwhile. */
  #membership: Membership | undefined;
  /** When it was joined, by performance.now(). */
  #joinedMs = 0;
  #receiver: NetworkReceiver | undefined;
  #isClosed = false;
  /** Ends the pause before the next attempt. */
  #wake: () => void = () => undefined;
  /** The attempt to join again that is under way. */
  #joining: Promise<void> = Promise.resolve();
  /** Whether the last attempt was refused. */
  #isRefused = false;

  /**
   * Joins the hub, or serves it. Rejects with OPTION_INVALID for a wrong name or a host without
   * such sockets, and with TIMED_OUT if neither is possible for JOIN_MS.
   */
  static async join({ name, report = () => undefined, sockets }: SocketHubOptions): Promise<SocketHubPort> {
    if (!isHubName(name))
      throw new UpcallError('OPTION_INVALID', `invalid name of a hub: "${name}"`, {
        remedy: 'Use 1 to 32 letters, digits, dots, underscores and hyphens, for example hub:lab',
      });
    const port = new SocketHubPort(name, sockets ?? (await socketsOfHost(name)), report);
    const endMs = performance.now() + JOIN_MS;
    for (let waitMs = FIRST_RETRY_MS; ; waitMs = Math.min(2 * waitMs, MAX_RETRY_MS)) {
      const problem = await port.#enter();
      if (problem === undefined) return port;
      if (performance.now() > endMs)
        throw new UpcallError('TIMED_OUT', `hub ${name}: neither served nor joined within ${JOIN_MS / 1000} s`, {
          remedy: `Use another name, or end the process that listens at ${port.path}`,
          cause: problem,
        });
      await port.#pause(waitMs);
    }
  }

  private constructor(name: string, sockets: LocalSockets, report: (text: string) => void) {
    this.#name = name;
    this.#sockets = sockets;
    this.#report = report;
  }

  /** The socket of the hub, for QEMU and other programs. */
  get path(): string {
    return this.#sockets.pathOf(this.#socketName);
  }

  /** Whether this process serves the hub. */
  get isServer(): boolean {
    return this.#membership?.peers !== undefined;
  }

  /** How many other processes are connected, while this one serves. */
  get peers(): number {
    return this.#membership?.peers?.() ?? 0;
  }

  connect(receiver: NetworkReceiver): void {
    this.#receiver = receiver;
    this.#membership?.port.connect(receiver);
  }

  send(frame: Uint8Array, offload?: Offload): void {
    this.#membership?.port.send(frame, offload);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#wake();
    await this.#joining;
    await this.#membership?.end();
    this.#membership = undefined;
  }

  get #socketName(): string {
    return `hub-${this.#name}.sock`;
  }

  /** Serves the hub, or connects to it. Resolves with the error if neither is possible now. */
  async #enter(): Promise<unknown> {
    try {
      this.#membership = await this.#newMembership();
    } catch (error) {
      return error;
    }
    this.#joinedMs = performance.now();
    // `close` waits for this, and then ends what was joined: the receiver must not be called again.
    if (this.#receiver !== undefined && !this.#isClosed) this.#membership.port.connect(this.#receiver);
    return undefined;
  }

  async #newMembership(): Promise<Membership> {
    const lock = this.#sockets.lock(`hub-${this.#name}.lock`);
    if (lock === undefined) {
      const port = new StreamPort(await this.#sockets.connect(this.#socketName), (reason) => this.#lost(reason));
      return { port, end: () => port.close() };
    }
    try {
      return await serve(this.#sockets, this.#socketName, lock);
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  #lost(reason: StreamEnd): void {
    this.#membership = undefined;
    if (this.#isClosed) return;
    const isRefused = reason === 'wrong-length';
    if (isRefused && !this.#isRefused)
      this.#report(`hub ${this.#name}: it takes no more connections; the link is down until it does`);
    else if (!isRefused) this.#report(`hub ${this.#name}: the process that served it has ended the connection`);
    this.#isRefused = isRefused;
    this.#joining = this.#joinAgain();
  }

  /**
   * Tries to join until it succeeds or the port is closed. After a connection of less than a second
   * it waits a second first: a server that ends each connection at once gets one a second.
   */
  async #joinAgain(): Promise<void> {
    const hasLasted = performance.now() - this.#joinedMs > MAX_RETRY_MS;
    for (let waitMs = hasLasted ? FIRST_RETRY_MS : MAX_RETRY_MS; ; waitMs = Math.min(2 * waitMs, MAX_RETRY_MS)) {
      await this.#pause(waitMs);
      if (this.#isClosed) return;
      if ((await this.#enter()) === undefined) break;
    }
    this.#reportJoined();
  }

  /**
   * Reports that the port has joined again, but not after a refusal, which may follow again, and
   * not if the port was closed meanwhile.
   */
  #reportJoined(): void {
    if (this.#isRefused || this.#isClosed) return;
    this.#report(`hub ${this.#name}: ${this.isServer ? 'this process serves it now' : 'connected again'}`);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

async function socketsOfHost(name: string): Promise<LocalSockets> {
  const sockets = await host.openLocalSockets().catch((cause: unknown) => {
    throw new UpcallError('OPTION_INVALID', `hub ${name}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      remedy: 'Set XDG_RUNTIME_DIR to a folder of yours that no other user can enter',
      cause,
    });
  });
  if (sockets !== undefined) return sockets;
  throw new UpcallError('OPTION_INVALID', `hub ${name}: this host has no sockets for it`, {
    remedy:
      'Hubs between processes need Linux and the optional package koffi; VMs of one process can share a NetworkHub',
  });
}

/**
 * Makes the hub, and a port of it for each connection. Holds `lock` from then on, unless it
 * rejects.
 */
async function serve(sockets: LocalSockets, name: string, lock: FileLock): Promise<Membership> {
  const hub = new NetworkHub();
  const own = hub.port();
  const peers = new Set<StreamPort>();
  const accept = (stream: ByteStream): void => {
    if (peers.size >= MAX_HUB_PEERS) {
      stream.write(REFUSAL);
      stream.end();
      return;
    }
    const side = hub.port();
    const peer = new StreamPort(stream, () => {
      peers.delete(peer);
      void side.close();
    });
    peers.add(peer);
    joinPorts(side, peer);
  };
  const server: LocalServer = await sockets.listen(name, accept);
  return {
    port: own,
    peers: () => peers.size,
    end: async () => {
      await own.close();
      const closing = server.close();
      for (const peer of peers) await peer.close();
      await closing;
      // Last: the next server must not have its socket removed.
      lock.release();
    },
  };
}
