/**
 * EventFds: the system calls on Linux eventfds that an event object needs.
 *
 * Called by: acrn-hsm/linux-events.ts, which makes EventObjects of them; vfio-user/serve.ts, for
 * the interrupts of a client; hypervisor/kvm/, for doorbells.
 * Implementation: node/linux/event-fds.ts.
 */

export interface EventFds {
  /**
   * A new eventfd, non-blocking and closed by exec. Returns its descriptor. Throws if there can be
   * no more.
   */
  create(): number;
  /**
   * The kernel's own name of the eventfd behind a descriptor, the same for all its descriptors.
   * Returns `not-open` or `not-an-eventfd` for other descriptors.
   */
  identify(fd: number): { readonly id: string } | 'not-open' | 'not-an-eventfd';
  /**
   * Whether the descriptor, which came from another program, is an eventfd that `write` can signal
   * without waiting.
   */
  adopt(fd: number): boolean;
  /** Whether the counter is not 0. */
  isReadable(fd: number): boolean;
  /** Those of `fds` whose counter is not 0, by one system call. */
  readableOf(fds: readonly number[]): number[];
  /** Returns the counter and sets it to 0. Returns 0n if there was no signal. */
  read(fd: number): bigint;
  /** Adds 1 to the counter, which is a signal. A full counter stays full. */
  write(fd: number): void;
  /** Also of a descriptor of another kind that came from another program. Does not wait. */
  close(fd: number): void;
  /** Calls back on the event loop while `fd` is readable, without keeping the process alive. */
  poll(fd: number, onReadable: () => void): { close(): void };
}
