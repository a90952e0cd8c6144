/**
 * KvmEventFds: writes of the guest that the kernel completes itself. It signals an eventfd, and the
 * vCPU does not leave the guest (KVM_IOEVENTFD).
 *
 * Called by: AsyncIo, in the Service VM's thread, through KvmMachine.
 *
 * A descriptor of asynchronous I/O matches a write of any size. The kernel gets one entry for each
 * size instead of one for all: on processors with VT-x that one also takes reads. A write that the
 * kernel has no entry for is an exit, and AsyncIo's table completes it. So no refusal of the kernel
 * is an error.
 *
 * The kernel finds an entry again by its eventfd. So the descriptor of the eventfd is duplicated:
 * its owner may close it first.
 *
 * Source: the kernel's "The Definitive KVM API Documentation".
 */

import type { EventFds } from '../../host/event-fds.js';
import type { CompletedWrites } from '../async-io.js';
import type { AsyncIoDescriptor, WriteEvent } from '../async-io-hypercalls.js';
import { Bytes, IoEventFlag, Request } from './kvm-abi.js';
import type { Kernel } from './kernel.js';

const PORT_SIZES = [1, 2, 4];
const MMIO_SIZES = [1, 2, 4, 8];

export class KvmEventFds implements CompletedWrites {
  readonly #kernel: Kernel;
  readonly #vm: number;
  /** The duplicates. */
  readonly #fds = new Map<AsyncIoDescriptor, number>();
  readonly #eventFds: EventFds | undefined;
  /** Of `createEvent`, by descriptor. */
  readonly #events = new Map<number, { readonly drain: () => void; readonly close: () => void }>();
  #isClosed = false;

  /** `eventFds`: default: `createEvent` creates none. */
  constructor(kernel: Kernel, vm: number, eventFds?: EventFds) {
    this.#kernel = kernel;
    this.#vm = vm;
    this.#eventFds = eventFds;
  }

  /** Does nothing for a descriptor without an eventfd. */
  assign(descriptor: AsyncIoDescriptor): void {
    if (descriptor.fd === undefined || this.#isClosed) return;
    const fd = this.#kernel.calls.duplicate(descriptor.fd);
    if (fd < 0) return;
    const results = this.#configure(descriptor, fd, 0);
    if (results.some((result) => result >= 0)) this.#fds.set(descriptor, fd);
    else this.#kernel.calls.close(fd);
  }

  /** `descriptor`: the object that was assigned. */
  deassign(descriptor: AsyncIoDescriptor): void {
    const fd = this.#fds.get(descriptor);
    if (fd === undefined) return;
    this.#fds.delete(descriptor);
    this.#configure(descriptor, fd, IoEventFlag.DEASSIGN);
    this.#kernel.calls.close(fd);
  }

  createEvent(onWrites: (count: number) => void): WriteEvent | undefined {
    const fds = this.#eventFds;
    if (fds === undefined || this.#isClosed) return undefined;
    let fd: number;
    try {
      fd = fds.create();
    } catch {
      return undefined;
    }
    const drain = (): void => {
      const count = fds.read(fd);
      if (count !== 0n) onWrites(Number(count));
    };
    const polling = fds.poll(fd, drain);
    const close = (): void => {
      if (!this.#events.delete(fd)) return;
      polling.close();
      fds.close(fd);
    };
    this.#events.set(fd, { drain, close });
    return { fd, close };
  }

  /** One system call, and one for each event that was written to. */
  drainEvents(): void {
    // A callback may close other events.
    for (const fd of this.#eventFds?.readableOf([...this.#events.keys()]) ?? []) this.#events.get(fd)?.drain();
  }

  /** The VM ends, and its entries with it. Nothing is assigned any more. */
  close(): void {
    this.#isClosed = true;
    for (const { close } of [...this.#events.values()]) close();
    for (const fd of this.#fds.values()) this.#kernel.calls.close(fd);
    this.#fds.clear();
  }

  #configure({ isPort, address, data }: AsyncIoDescriptor, fd: number, flags: number): number[] {
    // struct kvm_ioeventfd: the data, the address, the length, the eventfd, flags.
    const entry = new DataView(new ArrayBuffer(Bytes.IOEVENTFD));
    entry.setBigUint64(0, data ?? 0n, true);
    entry.setBigUint64(8, address, true);
    entry.setInt32(20, fd, true);
    const kind = (isPort ? IoEventFlag.PIO : 0) | (data === undefined ? 0 : IoEventFlag.DATAMATCH);
    entry.setUint32(24, kind | flags, true);
    return (isPort ? PORT_SIZES : MMIO_SIZES).map((size) => {
      entry.setUint32(16, size, true);
      return this.#kernel.calls.ioctl(this.#vm, Request.IOEVENTFD, new Uint8Array(entry.buffer));
    });
  }
}
