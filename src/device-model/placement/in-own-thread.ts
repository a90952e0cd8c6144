/**
 * A device in a thread of its own:
 * `vm.attach(ports(0x500, 4), inOwnThread(new URL('./my-device.js', import.meta.url)))`.
 *
 * For devices that block or compute for long. A device that answers at once is faster in the
 * Service VM's thread. The device is the same class either way. If its thread ends or is late, its
 * requests finish as all ones and its range is free again.
 *
 * `attach` makes a ThreadClient of the ThreadPlacement that `inOwnThread` gives: the I/O
 * client that starts the thread and posts each request to it. ThreadCard makes one for a PCI card.
 *
 * Threads: ThreadClient lives in the Service VM's thread. Its device's thread is device-thread.ts.
 */

import { host } from '../../host/current.js';
import type { HostThread } from '../../host/host.js';
import type { AssignedRequest } from '../../hsm/assigned-request.js';
import type { ClientPosition, IoClient } from '../../hsm/io-client.js';
import type { ClientFinisher } from '../../hsm/request-finisher.js';
import { SLOT_COUNT } from '../../io-request/layout.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import { messageWithPlace } from '../../io-request/author-frame.js';
import { errorText, type ErrorText } from '../../io-request/error-text.js';
import { Deferred } from '../../sync/deferred.js';
import { startFairTimeout, type FairTimeout } from '../../sync/fair-timeout.js';
import { foregroundTiming } from '../../sync/host-timing.js';
import { PROMISE_OPEN } from '../device-client.js';
import { CloseLimit } from './close-limits.js';
import { DeviceMailbox, MailboxControl } from './device-mailbox.js';
import type { DeviceThreadData, DeviceThreadMessage } from './device-thread.js';
import type { CardFacts } from './linked-card.js';
import type { ThreadClientOptions } from './thread-client-options.js';
import { ThreadLines } from './thread-lines.js';
import { ThreadPeek } from './thread-peek.js';
import type { RegisterValues } from '../register-peek.js';
import type { RegisterMap } from '../register-map.js';

export class ThreadClient implements IoClient {
  readonly #options: ThreadClientOptions;
  readonly #mailbox = new DeviceMailbox();
  readonly #peek = new ThreadPeek(() => this.#mailbox.control(MailboxControl.PEEK));
  readonly #lines: ThreadLines;
  #registers: RegisterMap | undefined;
  #card: CardFacts | undefined;
  /** The device's name, before it is created the module's file name. */
  #name: string;
  #thread: HostThread | undefined;
  #isClosing = false;
  #isReady = false;
  /** Whether its modules are loaded. */
  #isLoaded = false;
  #closeTimeout: FairTimeout | undefined;
  /** Whether the answers to later requests come here instead of going into the page. */
  #isRelaying = false;
  /** Whether `#collectAnswers` runs. */
  #isCollecting = false;
  /** By slot: the requests whose answers come back through the mailbox (IoClient.relay). */
  readonly #relayed: (AssignedRequest | undefined)[] = [];
  /** The numbers of their assignments: an answer is valid for this one only. 0: none. */
  readonly #relayedTickets = new Int32Array(SLOT_COUNT);
  /** Why the device failed. */
  #failure: ErrorText | undefined;
  /** Resolves when the device is created, rejects with DEVICE_MODULE_INVALID if it cannot be. */
  readonly ready: Promise<unknown>;
  readonly #ready = new Deferred<undefined>();

  constructor(options: ThreadClientOptions) {
    this.#options = options;
    this.#lines = new ThreadLines(options.lines);
    this.#name = options.placement.module.replace(/^.*\//, '');
    this.ready = this.#ready.promise;
    // The VM's start awaits `ready`; until then a failure is not unhandled.
    this.ready.catch(() => undefined);
  }

  get name(): string {
    return this.#name;
  }

  get isRunning(): boolean {
    return this.#thread !== undefined;
  }

  /** The device's register map, once it is created. */
  get registers(): RegisterMap | undefined {
    return this.#registers;
  }

  /** What is to be known of a card, once it is created. */
  get card(): CardFacts | undefined {
    return this.#card;
  }

  /** The values of its registers, or undefined if the thread does not answer in time. */
  async peek(): Promise<RegisterValues | undefined> {
    return this.#isReady && this.isRunning ? this.#peek.values() : undefined;
  }

  /** Whether the device was created. */
  get isReady(): boolean {
    return this.#isReady;
  }

  connect(finisher: ClientFinisher): void {
    const { placement, range, memory, owners, card } = this.#options;
    const lineDriver = this.#lines.connect(this.#name);
    owners.drives(lineDriver, this);
    const data: DeviceThreadData = {
      module: placement.module,
      options: placement.options,
      range,
      mailbox: this.#mailbox.buffer,
      memory: memory.handle,
      lineDriver,
      finisher,
      isReloadable: placement.reloads !== undefined,
      ...(card === undefined ? {} : { card }),
    };
    this.#thread = this.#startThread(data);
  }

  notify(request: AssignedRequest): void {
    if (this.#isRelaying) {
      this.#relayed[request.vcpu] = request;
      this.#relayedTickets[request.vcpu] = request.ticket;
    }
    this.#mailbox.post(request, this.#isRelaying);
  }

  relay(on: boolean): void {
    this.#isRelaying = on;
    if (!on || this.#isCollecting) return;
    this.#isCollecting = true;
    void this.#collectAnswers();
  }

  reset(): void {
    this.#mailbox.control(MailboxControl.RESET);
  }

  /** Loads the module anew: ReloadObserver.onOutcome follows. */
  reload(): void {
    this.#mailbox.control(MailboxControl.RELOAD);
  }

  /** Doorbells of the card were rung. */
  rung(): void {
    this.#mailbox.control(MailboxControl.RUNG);
  }

  disconnected(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#mailbox.wakeAnswers();
    this.#mailbox.control(MailboxControl.CLOSE);
    if (this.#thread !== undefined) this.#closeWithin(this.#isLoaded ? CloseLimit.MS : CloseLimit.WHILE_LOADING_MS);
  }

  explain(vcpu: number): ClientPosition {
    return { detail: this.#explanation(vcpu) };
  }

  /** Ends the thread at once, as a crash would. */
  async terminate(): Promise<void> {
    await this.#thread?.terminate();
  }

  /**
   * Finishes relayed requests with the answers in the mailbox. Runs until the client closes:
   * relayed requests may still be open after relaying ended.
   */
  async #collectAnswers(): Promise<void> {
    while (!this.#isClosing) {
      await this.#mailbox.waitAnswer(() => this.#isClosing);
      this.#mailbox.takeAnswers((vcpu, ticket, low, high) => {
        if (this.#relayedTickets[vcpu] !== ticket) return;
        this.#relayedTickets[vcpu] = 0;
        this.#relayed[vcpu]?.finish(ticket, low, high);
      });
      // A device that answers without a pause must not block the event loop.
      await host.turn();
    }
  }

  #closeWithin(ms: number): void {
    this.#closeTimeout?.stop();
    this.#closeTimeout = startFairTimeout(() => void this.terminate(), ms, foregroundTiming);
  }

  /** For the operator: why the request of `vcpu` is not finished. */
  #explanation(vcpu: number): string {
    if (this.#thread === undefined) return 'its thread has ended';
    if (!this.#isReady) return 'its thread is still creating the device';
    const inside = this.#mailbox.inside;
    if (inside?.vcpu === vcpu) return `its thread has been inside this access for ${inside.ms} ms`;
    if (inside !== undefined)
      return `its thread has been inside an access of vCPU ${inside.vcpu} for ${inside.ms} ms, and this one waits behind it`;
    if (this.#mailbox.isPending(vcpu))
      return 'its thread runs but does not take the request: it computes or blocks outside of any access';
    return `its thread has begun the access: ${PROMISE_OPEN}`;
  }

  #onMessage(message: DeviceThreadMessage): void {
    switch (message.kind) {
      case 'loaded':
        this.#isLoaded = true;
        if (this.#isClosing) this.#closeWithin(CloseLimit.MS);
        break;
      case 'ready':
        this.#isReady = true;
        this.#name = message.name;
        this.#registers = message.registers;
        this.#card = message.card;
        this.#ready.resolve(undefined);
        break;
      case 'line':
        this.#options.owners.add(message.gsi, this);
        break;
      case 'report':
        this.#options.onReport?.(message.message);
        break;
      case 'files':
        this.#options.placement.reloads?.onFiles(message.files, message.isComplete);
        break;
      case 'reload':
        this.#registers = message.registers;
        this.#options.placement.reloads?.onOutcome(message.outcome);
        break;
      case 'closing':
        this.#closeWithin(CloseLimit.PROMISE_MS);
        break;
      case 'registers':
        this.#peek.answer(message.values);
        break;
      case 'failed': {
        const options = message.remedy === undefined ? {} : { remedy: message.remedy };
        this.#failure = { message: message.message };
        this.#ready.reject(new UpcallError('DEVICE_MODULE_INVALID', message.message, options));
        // A timer or socket of the module would keep its thread alive.
        void this.terminate();
        break;
      }
      case 'error': {
        const error = new Error(message.message);
        if (message.stack !== undefined) error.stack = message.stack;
        this.#options.reportError(this.#name, error, message.during);
      }
    }
  }

  /** An error that the thread did not catch, which ends it. */
  #onError(error: Error): void {
    const { message, stack } = errorText(error);
    this.#failure = { message: messageWithPlace(message, stack), ...(stack === undefined ? {} : { stack }) };
  }

  #onExit(code: number): void {
    // process.exit() in the device, or terminate().
    const { message, stack } = this.#failure ?? { message: `exit code ${code} and no error` };
    this.#closeTimeout?.stop();
    this.#lines.disconnect();
    this.#ready.reject(
      new UpcallError(
        'DEVICE_MODULE_INVALID',
        `${this.#name}: its thread ended before the device was created: ${message}`,
        { remedy: 'Let the module create its device and keep its thread: no process.exit' },
      ),
    );
    this.#thread = undefined;
    this.#peek.answer(undefined);
    this.#mailbox.wakeAnswers();
    if (this.#isClosing) {
      this.#options.onEnd?.();
      return;
    }
    this.#isClosing = true;
    this.#options.onDeath(message, stack);
  }

  #startThread(data: DeviceThreadData): HostThread {
    try {
      return host.startThread(new URL('./device-thread.js', import.meta.url), {
        name: this.#name,
        data,
        onMessage: (message) => this.#onMessage(message as DeviceThreadMessage),
        onError: (error) => this.#onError(error),
        onExit: (code) => this.#onExit(code),
      });
    } catch (error) {
      this.#lines.disconnect();
      throw new UpcallError('THREAD_FAILED', `no thread for device ${this.#name}: ${errorText(error).message}`, {
        remedy: 'Give options that structured cloning can copy: no functions',
        cause: error,
      });
    }
  }
}
