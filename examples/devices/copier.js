// @ts-check
/**
 * A PCI card that copies guest memory by DMA and reports by MSI-X: vector 0 when it is done, vector
 * 1 when it was refused. docs/write-a-device.md explains it, test-a-card.js tests it. From Debian's
 * shell, 16 bytes of the firmware's tables to 0xe8000 (bus mastering is bit 2 of the command):
 *
 *     upcall run debian --device examples/devices/copier.js@pci:00:06.0
 *     # cd /sys/bus/pci/devices/0000:00:06.0; echo 1 > enable; read base end flags < resource
 *     # printf '\006' | dd of=config bs=1 seek=4
 *     # devmem $base 32 0xf0000; devmem $((base + 4)) 32 0xe8000; devmem $((base + 8)) 32 16
 *     # devmem $((base + 12)) 32 1; devmem 0xe8000
 */

const SOURCE = 0x0;
const TARGET = 0x4;
const LENGTH = 0x8;
const CONTROL = 0xc;
const STATUS = 0x10;
const START = 0x1;
const DONE = 0x1;
const REFUSED = 0x2;
/** Longer copies are refused: the guest may write any number. */
const MAX_BYTES = 0x10_0000;

export default class Copier {
  name = 'copier';
  /** @type {import('upcall').PciDescription} */
  pci = {
    vendor: 0x1234,
    device: 0x0c09,
    class: 0x08_80_00,
    bars: [{ type: 'memory', size: 0x1000 }],
    msix: 2,
    interruptPin: 'A',
  };
  /** @type {import('upcall').RegisterMap} */
  registers = {
    source: 'examples/devices/copier.js',
    registers: [
      { offset: SOURCE, size: 4, name: 'SOURCE', access: 'rw', meaning: 'address to copy from' },
      { offset: TARGET, size: 4, name: 'TARGET', access: 'rw', meaning: 'address to copy to' },
      { offset: LENGTH, size: 4, name: 'LENGTH', access: 'rw', meaning: 'bytes, at most 1 MiB' },
      { offset: CONTROL, size: 4, name: 'CONTROL', access: 'w', meaning: 'a write of 1 starts the copy' },
      {
        offset: STATUS,
        size: 4,
        name: 'STATUS',
        access: 'rw',
        meaning: 'status; a write of 1 clears a bit',
        fields: [
          { bits: [0, 0], name: 'DONE', meaning: 'the copy is made: vector 0' },
          { bits: [1, 1], name: 'REFUSED', meaning: 'no bus mastering, not RAM, or too long: vector 1' },
        ],
      },
    ],
  };
  #registers = new Uint32Array(3);
  #status = 0;
  /** @type {import('upcall').CardHandle | undefined} */
  #card;

  /** @param {import('upcall').CardHandle} card */
  connect(card) {
    this.#card = card;
  }

  /** @param {number} bar @param {number} offset @param {import('upcall').AccessSize} size */
  read(bar, offset, size) {
    return this.peek(bar, offset, size);
  }

  /** @param {number} _bar @param {number} offset @param {import('upcall').AccessSize} size */
  peek(_bar, offset, size) {
    if (size !== 4 || offset % 4 !== 0) return -1;
    return offset === STATUS ? this.#status : (this.#registers[offset / 4] ?? -1);
  }

  /**
   * @param {number} _bar @param {number} offset @param {import('upcall').AccessSize} size
   * @param {number} value
   */
  write(_bar, offset, size, value) {
    if (size !== 4 || offset % 4 !== 0) return;
    if (offset < CONTROL) this.#registers[offset / 4] = value;
    else if (offset === CONTROL && (value & START) !== 0) this.#copy();
    else if (offset === STATUS) {
      this.#status &= ~value;
      if (this.#status === 0) this.#card?.lower();
    }
  }

  reset() {
    this.#registers.fill(0);
    this.#status = 0;
  }

  #copy() {
    const [source = 0, target = 0, length = 0] = this.#registers;
    const bytes = length > MAX_BYTES ? undefined : this.#card?.dma.read(source, length);
    const isDone = bytes !== undefined && this.#card?.dma.write(target, bytes) === true;
    this.#status |= isDone ? DONE : REFUSED;
    this.#card?.interrupt(isDone ? 0 : 1);
  }
}
