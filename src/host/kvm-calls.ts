/**
 * KvmCalls: the system calls by which a hypervisor uses Linux's KVM. Addresses of memory stay below
 * this interface: memory is named by its buffer.
 *
 * Called by: hypervisor/kvm/, through `Host.openKvm`.
 * Implementation: node/linux/kvm-calls.ts.
 * Threads: each thread has an object of its own. Descriptors are those of the process.
 */

/** A part of a VM's physical memory. */
export interface KvmRegion {
  /** Its number within the VM. */
  readonly slot: number;
  /** Guest physical, a multiple of a page. */
  readonly guestAddress: number;
  /** Of `allocate`. */
  readonly memory: SharedArrayBuffer;
  readonly offset: number;
  readonly bytes: number;
  /** Whether the kernel logs which pages are written, for `takeLog`. Default: false. */
  readonly logsWrites?: boolean;
}

export interface KvmCalls {
  /** Whether the processor is one whose KVM this interface is for: x86-64. */
  readonly isX86: boolean;
  /** The kernel's own name of its version: "6.1.0-31-amd64". */
  readonly release: string;
  /** Opens /dev/kvm. Returns a descriptor, or −errno. */
  open(): number;
  /**
   * Returns the result, or −errno. `argument`: a number is passed by value, bytes are read and
   * written by the kernel and must be as long as the request says.
   */
  ioctl(descriptor: number, request: number, argument: number | Uint8Array): number;
  close(descriptor: number): void;
  /** Another descriptor of the same file, closed by exec. Returns it, or −errno. */
  duplicate(descriptor: number): number;
  /** New zeroed memory that begins at a page. Throws RangeError if there is not as much. */
  allocate(bytes: number): SharedArrayBuffer;
  /**
   * Makes memory of `allocate` part of a VM, or changes `logsWrites` of a region that is. Returns
   * 0, or −errno.
   */
  setRegion(vm: number, region: KvmRegion): number;
  /**
   * The pages of a region that were written since `logsWrites` was set or this was called last: one
   * bit for each, the lowest of the first byte first, in whole words of 64. Throws with errno.
   */
  takeLog(vm: number, region: KvmRegion): Uint8Array<ArrayBuffer>;
  /**
   * Memory whose first `bytes` are those of the descriptor's file. It stays valid after the file is
   * closed. Throws with errno.
   */
  map(descriptor: number, bytes: number): SharedArrayBuffer;
  /** Puts plain memory in place of the file, for all who still have `memory`. Throws with errno. */
  unmap(memory: SharedArrayBuffer, bytes: number): void;
  /** The number of this thread, for `interrupt`. */
  thread(): number;
  /**
   * Makes KVM_RUN return in thread `thread` of this process, if it is in it now. Does nothing if
   * there is no such thread any more.
   */
  interrupt(thread: number): void;
  /** From now on this thread is interrupted, as by `interrupt`, every `ms`. Throws with errno. */
  startTicks(ms: number): KvmTicks;
  /** "EINVAL" for 22, or "errno 22" for a number without a name. */
  errorName(errno: number): string;
}

/** The ticks of one thread. They end with the process, not with the thread. */
export interface KvmTicks {
  stop(): void;
}

/** The lines of the interrupt controllers that a VM of the kernel has. */
export interface KernelLines {
  /** Has no effect on a line that the kernel's controllers do not have. */
  set(line: number, high: boolean): void;
}
