/**
 * ClientHypervisor: the machine of a vfio-user client, for example QEMU's, as a hypervisor: a VM
 * whose requests are the accesses of that machine to one card.
 *
 * Called by: CardServer, which creates the VM by it, and the Service VM.
 * Threads: the Service VM's. There are no vCPU threads: the requests are made in this thread
 * (request-contexts.ts), and a completion hypercall sends the client its answer.
 *
 * The client decodes the card's BARs, and has the interrupt controllers. So each BAR has a window
 * of its own here, and interrupts leave by their numbers.
 */

import { SLOT_COUNT } from '../io-request/layout.js';
import type { SharedBuffer } from '../io-request/shared-buffer.js';
import { OrderedPoll } from '../sync/poll.js';
import type { GuestMemory } from '../hypervisor/guest-memory.js';
import { HYPERCALL_INVALID, HYPERCALL_REFUSED, type Hypercalls } from '../hypervisor/hypercalls.js';
import type { Availability, Hypervisor, VmConfig } from '../hypervisor/hypervisor.js';
import { INTERRUPT_LINES, IrqLineOperation } from '../hypervisor/interrupt-lines.js';
import { VmSharedState, VmState } from '../hypervisor/vm-shared-state.js';
import { RequestContexts } from './request-contexts.js';

export interface ClientMachine {
  readonly memory: GuestMemory;
  /** Of the card, as port 0xCF8 takes it. */
  readonly configAddress: number;
  /** Lets the HSM's worker dispatch the requests that are PENDING. */
  readonly dispatch: () => void;
  /** The card sends a message. Returns false if the client does not want it. */
  readonly sendMessage: (message: number) => boolean;
  /** The card drives its interrupt pin. */
  readonly setPin: (isHigh: boolean) => void;
}

/** Between the windows of two BARs in memory: twice the size of the largest one. */
const MEMORY_WINDOW = 2 ** 41;
const PORTS_START = 0x1000;
const PORTS_WINDOW = 0x400;

/** Where requests for BAR number `bar` are made. */
export function barWindow(bar: number, isPorts: boolean): number {
  return isPorts ? PORTS_START + bar * PORTS_WINDOW : (bar + 1) * MEMORY_WINDOW;
}

export class ClientHypervisor implements Hypervisor {
  readonly name = 'vfio-user';
  readonly #machine: ClientMachine;
  #vm: ClientVm | undefined;

  constructor(machine: ClientMachine) {
    this.#machine = machine;
  }

  /** Callers must have created the VM. */
  get vm(): ClientVm {
    if (this.#vm === undefined) throw new Error('there is no VM yet');
    return this.#vm;
  }

  available(): Promise<Availability> {
    return Promise.resolve({ available: true, detail: 'serves one card to another machine' });
  }

  createVm(config: VmConfig, buffer: SharedBuffer): Promise<Hypercalls> {
    return Promise.resolve((this.#vm = new ClientVm(this.#machine, config, buffer)));
  }
}

export class ClientVm implements Hypercalls {
  /** Each slot is a context of its own. */
  readonly vcpuCount = SLOT_COUNT;
  readonly memory: GuestMemory;
  readonly shared: VmSharedState;
  readonly contexts: RequestContexts;
  readonly barWindow = barWindow;
  readonly sendMessage: (message: number) => boolean;
  readonly #buffer: SharedBuffer;
  readonly #setPin: (isHigh: boolean) => void;

  constructor(machine: ClientMachine, config: VmConfig, buffer: SharedBuffer) {
    this.memory = machine.memory;
    this.sendMessage = machine.sendMessage;
    this.#setPin = machine.setPin;
    this.#buffer = buffer;
    this.shared = new VmSharedState(undefined, config);
    this.shared.setVmState(VmState.CREATED);
    const { configAddress, dispatch } = machine;
    this.contexts = new RequestContexts({ buffer, shared: this.shared, configAddress, raise: dispatch });
    void this.#watchPin();
  }

  setIoreqBuffer(): number {
    if (this.shared.vmState !== VmState.CREATED) return HYPERCALL_REFUSED;
    this.#buffer.stampFree();
    return 0;
  }

  notifyRequestFinish(vcpu: number): number {
    if (!(vcpu >= 0 && vcpu < this.vcpuCount) || this.shared.vmState === VmState.POWERED_OFF) return HYPERCALL_REFUSED;
    this.contexts.finished(vcpu);
    return 0;
  }

  /** Its vCPUs are the client's. */
  setVcpuRegs(): number {
    return HYPERCALL_INVALID;
  }

  startVm(): number {
    if (this.shared.vmState !== VmState.CREATED) return HYPERCALL_REFUSED;
    this.shared.setVmState(VmState.RUNNING);
    return 0;
  }

  /** At once: there is no vCPU to wait for, and the reset that follows withdraws open accesses. */
  pauseVm(): Promise<number> {
    if (this.shared.vmState === VmState.POWERED_OFF) return Promise.resolve(HYPERCALL_REFUSED);
    this.shared.setVmState(VmState.PAUSED);
    return Promise.resolve(0);
  }

  resetVm(): Promise<number> {
    if (this.shared.vmState !== VmState.PAUSED) return Promise.resolve(HYPERCALL_REFUSED);
    this.#buffer.stampFree();
    this.contexts.withdraw();
    this.shared.setVmState(VmState.CREATED);
    return Promise.resolve(0);
  }

  destroyVm(): Promise<number> {
    if (this.shared.vmState !== VmState.PAUSED) return Promise.resolve(HYPERCALL_REFUSED);
    this.shared.setVmState(VmState.POWERED_OFF);
    this.contexts.withdraw();
    return Promise.resolve(0);
  }

  setIrqLine(gsi: number, operation: number): number {
    if (this.shared.vmState === VmState.POWERED_OFF || !(gsi >= 0 && gsi < INTERRUPT_LINES)) return HYPERCALL_REFUSED;
    if (operation === IrqLineOperation.HIGH || operation === IrqLineOperation.LOW)
      this.shared.lines.set(gsi, operation === IrqLineOperation.HIGH);
    return 0;
  }

  /** The client's interrupt controllers take messages of its card only. */
  injectMsi(): number {
    return HYPERCALL_REFUSED;
  }

  /** Takes the changes of the card's pin. */
  deliverPin(): void {
    if (!this.shared.lines.relaxedChanged) return;
    this.shared.lines.deliver({ raise: () => this.#setPin(true), lower: () => this.#setPin(false) });
  }

  /** A card may drive its pin at any time. */
  async #watchPin(): Promise<void> {
    const { shared } = this;
    const isOver = (): boolean => shared.vmState === VmState.POWERED_OFF;
    const poll = new OrderedPoll(() => shared.lines.changed || isOver());
    while (!isOver()) {
      await shared.doorbell(0).waitAsync(poll);
      this.deliverPin();
    }
  }
}
