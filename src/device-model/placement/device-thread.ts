/**
 * The thread of a device: takes requests out of its mailbox, lets the device answer, and finishes
 * them in the page.
 *
 * Started by: ThreadClient (in-own-thread.ts), with DeviceThreadData. It posts DeviceThreadMessages
 * back. Everything else goes through shared memory: the mailbox, the page, and the ticket words.
 *
 * A ticket is the number of one assignment of a slot. The thread that takes it, here or in the
 * Service VM, finishes the request (hsm/request-finisher.ts).
 */

import { host } from '../../host/current.js';
import { AssignedRequest } from '../../hsm/assigned-request.js';
import { RequestFinisher, type ClientFinisher } from '../../hsm/request-finisher.js';
import type { AddressRange } from '../../hsm/address-range.js';
import { GuestMemory, type GuestMemoryHandle } from '../../hypervisor/guest-memory.js';
import { VmSharedState } from '../../hypervisor/vm-shared-state.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import { errorText } from '../../io-request/error-text.js';
import { SLOT_COUNT } from '../../io-request/layout.js';
import { SharedBuffer } from '../../io-request/shared-buffer.js';
import { SharedWords } from '../../sync/shared-words.js';
import { MoveRecorder } from '../../trace/move-recorder.js';
import { SystemClock } from '../clock.js';
import { DeviceClient, type DeviceCall } from '../device-client.js';
import type { Device } from '../device.js';
import { DeviceLines } from '../device-lines.js';
import { NAMELESS } from '../line-owners.js';
import type { PciAddress } from '../pci-function.js';
import { peekDevice, type RegisterValues } from '../register-peek.js';
import type { RegisterMap } from '../register-map.js';
import { DeviceMailbox, MailboxControl } from './device-mailbox.js';
import { loadCard, loadDevice, type DeviceContext } from './device-module.js';
import { reloadableCard, reloadableDevice, type ReloadParts, type WithReload } from '../reload/reload-device.js';
import type { ReloadOutcome } from '../reload/reload-observer.js';
import { CardLink } from './card-link.js';
import { LinkedCard, type CardFacts } from './linked-card.js';

/** What the thread gets at its start, by structured cloning. */
export interface DeviceThreadData {
  /** URL of the device's module. */
  readonly module: string;
  readonly options: unknown;
  /** The device's addresses. */
  readonly range: AddressRange;
  /** The buffer of the DeviceMailbox. */
  readonly mailbox: SharedArrayBuffer;
  readonly memory: GuestMemoryHandle;
  /** The number of its outputs among those of the interrupt lines: `driver` of InterruptLines. */
  readonly lineDriver: number;
  readonly finisher: ClientFinisher;
  /** The module has a PCI card. */
  readonly card?: CardThreadData;
  /** The module may be loaded anew (MailboxControl.RELOAD). */
  readonly isReloadable: boolean;
}

export interface CardThreadData {
  readonly address: PciAddress;
  /** Of CardLink. */
  readonly link: SharedArrayBuffer;
}

export type DeviceThreadMessage =
  /** Its modules are loaded. The device is not created yet. */
  | { readonly kind: 'loaded' }
  /** The device is created, and requests are served. */
  | { readonly kind: 'ready'; readonly name: string; readonly registers?: RegisterMap; readonly card?: CardFacts }
  /** The device has an output to line `gsi`. */
  | { readonly kind: 'line'; readonly gsi: number }
  /** A card reports something to the operator. */
  | { readonly kind: 'report'; readonly message: string }
  /** The files of a load: ReloadObserver.onFiles. */
  | { readonly kind: 'files'; readonly files: readonly string[]; readonly isComplete: boolean }
  /** A reload has ended: ReloadObserver.onOutcome. `registers`: those of the device by now. */
  | { readonly kind: 'reload'; readonly outcome: ReloadOutcome; readonly registers?: RegisterMap }
  /** The device's `close` has given a promise. */
  | { readonly kind: 'closing' }
  /** The answer to a peek. */
  | { readonly kind: 'registers'; readonly values: RegisterValues }
  /** The device could not be created. The thread ends. */
  | { readonly kind: 'failed'; readonly message: string; readonly remedy?: string }
  /** The device threw or rejected in call `during`. The thread goes on, except after `close`. */
  | { readonly kind: 'error'; readonly during: DeviceCall; readonly message: string; readonly stack?: string };

const thread = await host.startedThread();
const data = thread.data as DeviceThreadData;
const post = (message: DeviceThreadMessage): void => thread.post(message);
// Waiting on shared words does not keep a thread alive.
thread.keepAlive();

const shared = new VmSharedState(data.finisher.shared);
const mailbox = new DeviceMailbox(data.mailbox);
const lines = new DeviceLines(shared.lines, data.lineDriver, {
  add: (gsi) => {
    post({ kind: 'line', gsi });
    return NAMELESS;
  },
  changed: () => undefined,
});

const context: DeviceContext = {
  interruptLine: (gsi) => lines.output(gsi),
  memory: new GuestMemory(data.memory),
  clock: new SystemClock(),
};

const onLoaded = (): void => post({ kind: 'loaded' });
/** Set where the module may be loaded anew. */
let reload: () => void = () => undefined;

try {
  const device = data.card === undefined ? await createDevice() : await createCard(data.card);
  await serve(device);
  await close(device);
} catch (error) {
  const known = error instanceof UpcallError ? error.remedy : undefined;
  post({
    kind: 'failed',
    message: errorText(error).message,
    ...(known === undefined ? {} : { remedy: known }),
  });
}
thread.close();

async function createDevice(): Promise<Device> {
  const device = data.isReloadable
    ? await withReload(reloadableDevice)
    : await loadDevice(data.module, context, data.options, onLoaded);
  post({ kind: 'ready', name: device.name, ...registersOf(device) });
  return device;
}

async function createCard({ address, link }: CardThreadData): Promise<LinkedCard> {
  const card = data.isReloadable
    ? await withReload(reloadableCard)
    : await loadCard(data.module, context, data.options, onLoaded);
  const linked = new LinkedCard({
    card,
    address,
    link: new CardLink(link),
    memory: context.memory,
    report: (message) => post({ kind: 'report', message }),
  });
  post({ kind: 'ready', name: card.name, ...registersOf(card), card: linked.facts });
  return linked;
}

/** Creates the device or card so that its module can be loaded anew. */
async function withReload<T extends Pick<Device, 'registers'>>(
  create: (parts: ReloadParts) => Promise<WithReload<T>>,
): Promise<T> {
  const { module, options } = data;
  const onCloseError = (error: unknown): void => report(error, 'close');
  const created = await create({
    module,
    options,
    context,
    onLoaded,
    onCloseError,
    observer: {
      onFiles: (files, isComplete) => post({ kind: 'files', files, isComplete }),
      onOutcome: (outcome) => post({ kind: 'reload', outcome, ...registersOf(created.device) }),
    },
  });
  reload = created.reload;
  return created.device;
}

/** Awaits what the device has to write. Its owner has a limit for that. */
async function close(device: Device | LinkedCard): Promise<void> {
  try {
    const closing = device.close?.();
    if (closing === undefined) return;
    post({ kind: 'closing' });
    await closing;
  } catch (error) {
    report(error, 'close');
  }
}

/** The register map for the message. Without it if structured cloning cannot copy the map. */
function registersOf({ registers }: Pick<Device, 'registers'>): { readonly registers?: RegisterMap } {
  try {
    return registers === undefined ? {} : { registers: structuredClone(registers) };
  } catch {
    return {};
  }
}

/** Does `act` and reports what it throws. */
function attempt(during: DeviceCall, act: () => void): void {
  try {
    act();
  } catch (error) {
    report(error, during);
  }
}

function report(error: unknown, during: DeviceCall): void {
  post({ kind: 'error', during, ...errorText(error) });
}

/** Serves requests until it takes CLOSE from the mailbox. */
async function serve(device: Device | LinkedCard): Promise<void> {
  const tickets = new SharedWords(data.finisher.tickets);
  const buffer = new SharedBuffer(data.finisher.page);
  // A client's entries in the trace must be complete before COMPLETE: the next change of the slot's
  // state is recorded by another thread.
  const recorder = new MoveRecorder(shared.trace, { isOfClient: true });
  for (const slot of buffer.slots) recorder.observe(slot);
  const hypercalls = {
    // The completion hypercall wakes the vCPU. That is all it does, so this thread does it itself.
    notifyRequestFinish: (vcpu: number) => {
      shared.doorbell(vcpu).ring();
      return 0;
    },
  };
  const finisher = new RequestFinisher({ buffer, tickets, hypercalls });
  const requests = Array.from({ length: SLOT_COUNT }, (_, vcpu) => {
    const request: AssignedRequest = new AssignedRequest(vcpu, {
      // Into the mailbox if the request is relayed, otherwise into the page.
      finish: (ticket, low, high) =>
        // The Service VM's thread finishes the requests of a card, after its interrupts
        // (thread-card.ts).
        mailbox.answer(vcpu, ticket, low, high) ||
        (data.card === undefined && finisher.finish(request, ticket, low, high)),
    });
    return request;
  });
  const client = new DeviceClient(device, data.range, (_, error, during) => report(error, during));
  /** By slot: the ticket of the request that the device got last. No ticket is 0. */
  const served = new Int32Array(SLOT_COUNT);
  /**
   * Takes the control bits and does what they ask. Returns false if the thread must end. Called
   * before each request, because a reset must come before every request that was posted after it.
   */
  const takeControl = (): boolean => {
    const control = mailbox.takeControl();
    // A device or card that is removed is reset first: both bits may come together.
    if ((control & MailboxControl.RESET) !== 0) attempt('reset', () => device.reset?.());
    if ((control & MailboxControl.CLOSE) !== 0) return false;
    // Between two accesses: the registers are consistent, and a busy guest cannot delay this.
    if ((control & MailboxControl.PEEK) !== 0) {
      const values = device instanceof LinkedCard ? device.peekAll() : peekDevice(device);
      post({ kind: 'registers', values });
    }
    if ((control & MailboxControl.RELOAD) !== 0) reload();
    // After a reset, which has made the rings before it void.
    if ((control & MailboxControl.RUNG) !== 0 && device instanceof LinkedCard)
      device.takeRung((act) => attempt('write', act));
    return true;
  };
  for (;;) {
    await mailbox.wait();
    const pending = mailbox.takePending();
    if (!takeControl()) return;
    for (const request of requests) {
      const { vcpu } = request;
      if ((pending & (1 << vcpu)) === 0 || !mailbox.fetch(request)) continue;
      if (!takeControl()) return;
      // The device must not get a request that a reset has withdrawn. Nor one that it got already:
      // a request that is posted between `takePending` and `fetch` is served under the pending bit
      // of its predecessor, and its own bit follows.
      if (tickets.load(vcpu) !== request.ticket || served[vcpu] === request.ticket) continue;
      served[vcpu] = request.ticket;
      // For the report of a late device.
      mailbox.enter(vcpu);
      client.notify(request);
      mailbox.leave();
    }
  }
}
