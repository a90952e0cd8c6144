/**
 * MessageEvents: eventfds each signal of which delivers an interrupt message, without this process.
 *
 * Called by: hsm/irqfd.ts, in the Service VM's thread.
 * Implementation: kvm/kvm-irq-fds.ts. Other hypervisors have none.
 */

export interface MessageEvents {
  /**
   * From now on, signals of the eventfd `fd` deliver the message, and reset its counter. If it is
   * readable already, the message is delivered once. The caller may close `fd` at any time.
   * `address` and `data` are u32. Returns the function that ends it: afterwards no signal has an
   * effect. Returns undefined if the hypervisor refuses, for whatever reason: then nothing was
   * delivered, and the caller listens to the event itself.
   */
  assign(fd: number, address: number, data: number): (() => void) | undefined;
}
