/**
 * Uart16550: the serial port of a PC, a National PC16550D with its interrupt behind OUT2 as PCs
 * wire it. Eight ports. Facts are from the data sheet unless a comment names another source.
 * Called by: DeviceClient, for the guest; a terminal, for `receive` (vm/standard-pc.ts has both).
 *
 * The guest sees the chip, and the host a terminal: `output` takes the bytes that the guest sends,
 * `receive` brings those that the operator types or pastes. A character is sent as soon as it is
 * written, so THR and the transmitter FIFO are always empty. The THR interrupt keeps its order: a
 * write of THR clears it, then it is raised again, as an edge.
 */

import { SavedState } from '../../io-request/saved-state.js';
import { readBytes, writeBytes, type ByteRegisters } from '../byte-registers.js';
import { SystemClock } from '../clock.js';
import { UNCONNECTED, type AccessSize, type Device, type InterruptLine } from '../device.js';
import type { Uart16550Options } from './uart16550-options.js';
import { BatchedOutput } from './batched-output.js';
import { ModemStatusRegister, type ModemLines } from './modem-status.js';
import { characterMs, wordBits } from './uart-line-format.js';
import { UartReceiver } from './uart-receiver.js';
import {
  FifoControl,
  InterruptEnable,
  InterruptId,
  LineControl,
  LineStatus,
  ModemControl,
  POWER_ON_DIVISOR,
  TRIGGER_LEVELS,
  UART16550_REGISTERS,
} from './uart16550-registers.js';

export class Uart16550 implements Device, ByteRegisters {
  readonly name = 'uart16550';
  readonly registers = UART16550_REGISTERS;
  readonly stateVersion = 2; // 2: the receiver's timer with its time.
  readonly #interrupt: InterruptLine;
  readonly #output: BatchedOutput;
  readonly #flowControl: boolean;
  readonly #receiver: UartReceiver;
  readonly #modem = new ModemStatusRegister();
  #divisor = POWER_ON_DIVISOR;
  #ier = 0;
  #lcr = 0;
  #mcr = 0;
  #scratch = 0;
  #thrEmptyPending = false;
  #interruptLevel = false;

  constructor(options: Uart16550Options = {}) {
    this.#interrupt = options.interrupt ?? UNCONNECTED;
    this.#output = new BatchedOutput(options.output);
    this.#flowControl = options.flowControl ?? false;
    this.#receiver = new UartReceiver(options.clock ?? new SystemClock(), {
      characterMs: () => characterMs(this.#lcr, this.#divisor),
      timedOut: () => this.#updateInterrupt(),
      inputRoom: () => options.onInputRoom?.(),
    });
    this.reset();
  }

  read(offset: number, size: AccessSize): number {
    return readBytes(this, offset, size);
  }

  write(offset: number, size: AccessSize, value: number): void {
    writeBytes(this, offset, size, value);
  }

  peek(offset: number, size: AccessSize, name?: string): number | undefined {
    // THR and FCR cannot be read back.
    if (size !== 1 || name === 'THR' || name === 'FCR') return undefined;
    const isDivisor = name === undefined ? this.#divisorLatch : name === 'DLL' || name === 'DLM';
    switch (offset) {
      case 0:
        return isDivisor ? this.#divisor & 0xff : this.#receiver.nextCharacter;
      case 1:
        return isDivisor ? this.#divisor >>> 8 : this.#ier;
      case 2:
        return this.#interruptId() | this.#fifoBits;
      case 5:
        return this.#receiver.lineStatus | LineStatus.THR_EMPTY | LineStatus.TRANSMITTER_EMPTY;
      case 6:
        return this.#modem.value;
      default:
        // The others are read without a side effect.
        return this.#readRegister(offset);
    }
  }

  readByte(offset: number): number {
    const value = this.#readRegister(offset);
    this.#updateInterrupt();
    return value;
  }

  writeByte(offset: number, value: number): void {
    this.#writeRegister(offset, value);
    this.#updateInterrupt();
  }

  /**
   * Sends bytes from the terminal to the guest. Returns how many were taken: at most
   * INPUT_QUEUE_CHARACTERS wait. The caller keeps the rest, and retries for example when
   * `onInputRoom` is called.
   */
  receive(bytes: Uint8Array): number {
    const taken = this.#receiver.receive(bytes);
    this.#updateInterrupt();
    return taken;
  }

  /** Sends a break, in order with the bytes before it. Returns false if the queue is full. */
  receiveBreak(): boolean {
    const taken = this.#receiver.receiveBreak();
    this.#updateInterrupt();
    return taken;
  }

  /**
   * Sets lines of the other end of the cable. Lines that are not named stay. Initially: CTS, DSR
   * and DCD asserted.
   */
  setModemLines(lines: Partial<ModemLines>): void {
    this.#modem.setLines(lines);
    this.#updateInterrupt();
  }

  /** Passes the bytes that the guest has sent to `output` at once. */
  flush(): void {
    this.#output.flush();
  }

  reset(): void {
    this.#divisor = POWER_ON_DIVISOR;
    this.#ier = 0;
    this.#lcr = 0;
    this.#mcr = 0;
    this.#scratch = 0;
    this.#thrEmptyPending = false;
    this.#interruptLevel = false;
    this.#interrupt.set(false);
    this.#modem.reset();
    // The reset may call `onInputRoom`: what that sends must wait for RTS.
    this.#receiver.listen(false);
    this.#receiver.reset();
    this.#receiver.listen(!this.#flowControl);
  }

  save(): unknown {
    this.#output.flush(); // What the guest has sent is not in the state.
    return {
      ...{ divisor: this.#divisor, ier: this.#ier, lcr: this.#lcr, mcr: this.#mcr, scratch: this.#scratch },
      ...{ thrEmptyPending: this.#thrEmptyPending, modem: this.#modem.save(), receiver: this.#receiver.save() },
    };
  }

  restore(state: unknown): void {
    const from = new SavedState(this.name, state);
    [this.#ier, this.#mcr] = [from.integer('ier', 0, 0x0f), from.integer('mcr', 0, 0x1f)];
    [this.#lcr, this.#scratch] = [from.byte('lcr'), from.byte('scratch')];
    this.#divisor = from.integer('divisor', 0, 0xffff);
    this.#thrEmptyPending = from.boolean('thrEmptyPending');
    this.#modem.restore(from.value('modem'));
    this.#receiver.restore(from.value('receiver'), this.#isListening);
    this.#updateInterrupt();
  }

  close(): void {
    this.#receiver.close();
    this.#output.flush();
  }

  #readRegister(offset: number): number {
    switch (offset) {
      case 0:
        return this.#divisorLatch ? this.#divisor & 0xff : this.#receiver.read();
      case 1:
        return this.#divisorLatch ? this.#divisor >>> 8 : this.#ier;
      case 2:
        return this.#readInterruptId();
      case 3:
        return this.#lcr;
      case 4:
        return this.#mcr;
      case 5:
        return this.#receiver.takeLineStatus() | LineStatus.THR_EMPTY | LineStatus.TRANSMITTER_EMPTY;
      case 6:
        return this.#modem.read();
      case 7:
        return this.#scratch;
      default:
        return 0xff;
    }
  }

  /** LSR and MSR are read-only. The data sheet reserves writes to them for factory tests. */
  #writeRegister(offset: number, value: number): void {
    switch (offset) {
      case 0:
        if (this.#divisorLatch) this.#divisor = (this.#divisor & 0xff00) | value;
        else this.#send(value);
        break;
      case 1:
        if (this.#divisorLatch) this.#divisor = (value << 8) | (this.#divisor & 0xff);
        else this.#enableInterrupts(value & 0x0f);
        break;
      case 2:
        this.#controlFifos(value);
        break;
      case 3:
        this.#lcr = value;
        break;
      case 4:
        this.#mcr = value & 0x1f;
        this.#modem.setControl(this.#mcr);
        this.#receiver.listen(this.#isListening);
        break;
      case 7:
        this.#scratch = value;
        break;
      default:
        break;
    }
  }

  get #divisorLatch(): boolean {
    return (this.#lcr & LineControl.DLAB) !== 0;
  }

  get #loopback(): boolean {
    return (this.#mcr & ModemControl.LOOPBACK) !== 0;
  }

  get #isListening(): boolean {
    return !this.#loopback && (!this.#flowControl || (this.#mcr & ModemControl.RTS) !== 0);
  }

  /** A read clears the THR interrupt, if that is the one reported. */
  #readInterruptId(): number {
    const id = this.#interruptId();
    if (id === InterruptId.THR_EMPTY) this.#thrEmptyPending = false;
    return id | this.#fifoBits;
  }

  get #fifoBits(): number {
    return this.#receiver.fifoEnabled ? 0xc0 : 0;
  }

  #send(value: number): void {
    this.#thrEmptyPending = false;
    this.#updateInterrupt();
    // Bytes for the terminal are not truncated to the word length, so that a guest which never
    // programs LCR (reset leaves 5 bits) is readable. In loopback the guest tests the word length.
    if (this.#loopback) this.#receiver.receiveLooped(value & (0xff >> (8 - wordBits(this.#lcr))));
    else this.#output.write(value);
    this.#thrEmptyPending = (this.#ier & InterruptEnable.THR_EMPTY) !== 0;
  }

  #enableInterrupts(ier: number): void {
    const risen = ier & ~this.#ier;
    this.#ier = ier;
    // Setting ETBEI while THR is empty, as it always is here, raises the interrupt at once. Drivers
    // start to send that way, and Linux marks a port that does not as broken.
    if ((risen & InterruptEnable.THR_EMPTY) !== 0) this.#thrEmptyPending = true;
    else if ((ier & InterruptEnable.THR_EMPTY) === 0) this.#thrEmptyPending = false;
  }

  #controlFifos(value: number): void {
    const enable = (value & FifoControl.ENABLE) !== 0;
    // Switching the FIFOs empties the transmitter. The chip reports that at once, even if the
    // guest has acknowledged an empty THR before (SMSC FDC37N769 data sheet, FIFO mode).
    if (enable !== this.#receiver.fifoEnabled && (this.#ier & InterruptEnable.THR_EMPTY) !== 0)
      this.#thrEmptyPending = true;
    this.#receiver.configure(enable, TRIGGER_LEVELS[value >>> 6] ?? 1);
    if (enable && (value & FifoControl.CLEAR_RECEIVER) !== 0) this.#receiver.clear();
  }

  #interruptId(): number {
    const receiver = this.#receiver;
    if ((this.#ier & InterruptEnable.LINE_STATUS) !== 0 && receiver.errors !== 0) return InterruptId.LINE_STATUS;
    if ((this.#ier & InterruptEnable.RECEIVED_DATA) !== 0) {
      if (receiver.atTrigger) return InterruptId.RECEIVED_DATA;
      if (receiver.timeoutPending) return InterruptId.CHARACTER_TIMEOUT;
    }
    if (this.#thrEmptyPending) return InterruptId.THR_EMPTY;
    if ((this.#ier & InterruptEnable.MODEM_STATUS) !== 0 && this.#modem.hasChanged) return InterruptId.MODEM_STATUS;
    return InterruptId.NONE;
  }

  /** In a PC the OUT2 pin gates the interrupt. In loopback the chip holds that pin inactive. */
  #updateInterrupt(): void {
    const open = (this.#mcr & ModemControl.OUT2) !== 0 && !this.#loopback;
    const level = open && this.#interruptId() !== InterruptId.NONE;
    if (level === this.#interruptLevel) return;
    this.#interruptLevel = level;
    this.#interrupt.set(level);
  }
}
