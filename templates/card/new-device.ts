/**
 * A PCI card with one memory BAR, DMA and message interrupts: it sums bytes of guest memory.
 * Replace it by your card.
 *
 * The guest is hostile: it makes accesses of any offset, size and value, and gives any address.
 * Answer where your data sheet says nothing as a bus does: reads give all ones, writes are ignored.
 */

import { allOnes, type AccessSize, type CardHandle, type PciCard, type PciDescription, type RegisterMap } from 'upcall';

const ID = 0x0;
const ADDRESS = 0x4;
const LENGTH = 0x8;
const COMMAND = 0xc;
const STATUS = 0x10;
const SUM = 0x14;

const ID_VALUE = 0x5550_0002;
const START = 0x1;
const DONE = 0x1;
const ERROR = 0x2;
/** Bytes of one command. Longer ones are an error: the work for an access has to be bounded. */
const MAX_LENGTH = 0x1_0000;

interface State {
  readonly address: number;
  readonly length: number;
  readonly status: number;
  readonly sum: number;
}

export default class NewDevice implements PciCard {
  readonly name = 'new-device';
  readonly pci: PciDescription = {
    vendor: 0x1234,
    device: 0x0001,
    class: 0xff_00_00,
    bars: [{ type: 'memory', size: 0x1000 }],
    // QEMU 11.1 aborts when it removes a card with MSI-X from a running machine.
    msi: 1,
    interruptPin: 'A',
  };
  readonly registers: RegisterMap = {
    source: 'README.md',
    registers: [
      { offset: ID, size: 4, name: 'ID', access: 'r', meaning: 'what this card is', reset: ID_VALUE },
      { offset: ADDRESS, size: 4, name: 'ADDRESS', access: 'rw', meaning: 'guest physical address', reset: 0 },
      { offset: LENGTH, size: 4, name: 'LENGTH', access: 'rw', meaning: 'bytes', reset: 0 },
      {
        offset: COMMAND,
        size: 4,
        name: 'COMMAND',
        access: 'w',
        meaning: 'command',
        fields: [{ bits: [0, 0], name: 'START', meaning: 'sums the bytes', access: 'w' }],
      },
      {
        offset: STATUS,
        size: 4,
        name: 'STATUS',
        access: 'rw',
        meaning: 'status; interrupts while a bit is set',
        reset: 0,
        fields: [
          { bits: [0, 0], name: 'DONE', meaning: 'the command has ended', access: 'w1c' },
          { bits: [1, 1], name: 'ERROR', meaning: 'the bytes are not in RAM, or too many', access: 'w1c' },
        ],
      },
      { offset: SUM, size: 4, name: 'SUM', access: 'r', meaning: 'the sum of the bytes', reset: 0 },
    ],
  };
  #card: CardHandle | undefined;
  #address = 0;
  #length = 0;
  #status = 0;
  #sum = 0;

  connect(card: CardHandle): void {
    this.#card = card;
  }

  read(bar: number, offset: number, size: AccessSize): number {
    return this.peek(bar, offset, size);
  }

  /** What `read` returns, for people who look at registers. It must have no effect. */
  peek(_bar: number, offset: number, size: AccessSize): number {
    if (size !== 4) return allOnes(size);
    switch (offset) {
      case ID:
        return ID_VALUE;
      case ADDRESS:
        return this.#address;
      case LENGTH:
        return this.#length;
      case STATUS:
        return this.#status;
      case SUM:
        return this.#sum;
      default:
        return allOnes(size);
    }
  }

  write(_bar: number, offset: number, size: AccessSize, value: number): void {
    if (size !== 4) return;
    switch (offset) {
      case ADDRESS:
        this.#address = value;
        break;
      case LENGTH:
        this.#length = value;
        break;
      case COMMAND:
        if ((value & START) !== 0) this.#start();
        break;
      case STATUS:
        this.#status &= ~value;
        if (this.#status === 0) this.#card?.lower();
        break;
    }
  }

  /** Also the state at power on. */
  reset(): void {
    this.#address = 0;
    this.#length = 0;
    this.#status = 0;
    this.#sum = 0;
  }

  /** For `--watch`: the state that the class goes on with after a change of this file. */
  save(): State {
    return { address: this.#address, length: this.#length, status: this.#status, sum: this.#sum };
  }

  restore({ address, length, status, sum }: State): void {
    this.#address = address;
    this.#length = length;
    this.#status = status;
    this.#sum = sum;
    // The pin. A message was sent already.
    if (status !== 0) this.#card?.raise();
  }

  #start(): void {
    // Refused without bus mastering, and where it is not RAM.
    const bytes = this.#length > MAX_LENGTH ? undefined : this.#card?.dma.read(this.#address, this.#length);
    this.#sum = bytes?.reduce((sum, byte) => (sum + byte) >>> 0, 0) ?? 0;
    this.#status |= bytes === undefined ? DONE | ERROR : DONE;
    this.#card?.interrupt();
  }
}
