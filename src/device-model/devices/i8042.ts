/**
 * I8042: the PC's keyboard controller, with a keyboard.
 *
 * Callers must: attach `data` at port 0x60 and `command` at port 0x64, one port each. The ports
 * between them belong to other devices (0x61 to the timer), so the controller is two devices with
 * one state.
 *
 * Guests use it for keys, and to reset the machine (command 0xFE, one of Linux' ways). There is no
 * port for a mouse: its test fails, and bytes for it time out. The A20 bit is stored without
 * effect: address line 20 is always on.
 *
 * Interrupt line 1 is high while the output buffer has a byte and the configuration enables it. The
 * controller starts as firmware leaves it (translation and interrupt on), because a guest may start
 * without firmware.
 */

import { SavedState } from '../../io-request/saved-state.js';
import { readOnePort } from '../byte-registers.js';
import { UNCONNECTED } from '../device.js';
import type { Device, InterruptLine, PowerControl } from '../device.js';
import {
  DATA_REGISTER,
  I8042Command,
  I8042Config,
  I8042Output,
  I8042Status,
  STATUS_REGISTER,
} from './i8042-registers.js';
import { Ps2Keyboard } from './ps2-keyboard.js';
import { ScanCodeTranslator } from './scan-codes.js';

/** Answers of the controller that wait for the guest. Further ones are dropped. */
export const ANSWER_QUEUE_LIMIT = 8;

const CONFIG_AFTER_FIRMWARE =
  I8042Config.KEYBOARD_INTERRUPT | I8042Config.SYSTEM | I8042Config.AUX_DISABLED | I8042Config.TRANSLATE;

const SELF_TEST_PASSED = 0x55;
const PORT_TEST_PASSED = 0x00;
/**
 * The port's clock line is stuck low, as on a controller without a connector. Linux then does not
 * use the port.
 */
const CLOCK_STUCK_LOW = 0x01;
const NO_PASSWORD = 0xf1;
/** The controller's input port, which command 0xC0 reads. Bit 7: the keyboard is not locked. */
const INPUT_PORT = 0x80;
/** "Resend": the controller's answer for a device that does not answer. */
const NO_ANSWER = 0xfe;

export interface I8042Options {
  readonly power: PowerControl;
  readonly interrupt?: InterruptLine;
}

interface Answer {
  readonly byte: number;
  /** AUX_DATA and TIMEOUT of the status, as they belong to the byte. */
  readonly status: number;
}

export class I8042 {
  /** Port 0x60. Its reset, as that of `command`, resets the whole controller. */
  readonly data: Device;
  /** Port 0x64. */
  readonly command: Device;
  readonly keyboard = new Ps2Keyboard();
  readonly #power: PowerControl;
  readonly #interrupt: InterruptLine;
  readonly #translator = new ScanCodeTranslator();
  #answers: Answer[] = [];
  /** The configuration byte, I8042Config bits. */
  #config: number = CONFIG_AFTER_FIRMWARE;
  /** The controller's output port: the bits I8042Output.RESET and I8042Output.A20. */
  #output: number = I8042Output.RESET | I8042Output.A20;
  /** The output buffer, port 0x60. It keeps its byte after it was read. */
  #buffer = 0;
  #status: number = I8042Status.SYSTEM | I8042Status.NOT_LOCKED;
  /** A command whose parameter is expected at port 0x60. */
  #parameterOf: number | undefined;

  constructor(options: I8042Options) {
    this.#power = options.power;
    this.#interrupt = options.interrupt ?? UNCONNECTED;
    this.data = {
      name: 'i8042-data',
      registers: DATA_REGISTER,
      peek: () => this.#buffer,
      read: (offset, size) => readOnePort(offset, size, () => this.#readData()),
      write: (offset, _size, value) => (offset === 0 ? this.#writeData(value & 0xff) : undefined),
      reset: () => this.#reset(),
      // The whole controller's.
      save: () => this.#save(),
      restore: (state) => this.#restore(state),
    };
    this.command = {
      name: 'i8042-command',
      registers: STATUS_REGISTER,
      peek: () => this.#status,
      read: (offset, size) => readOnePort(offset, size, () => this.#status),
      write: (offset, _size, value) => (offset === 0 ? this.#writeCommand(value & 0xff) : undefined),
      reset: () => this.#reset(),
      save: () => null,
      restore: () => undefined,
    };
  }

  /**
   * Presses or releases a key, given as scan codes of set 2 (scan-codes.ts). Returns false if the
   * keyboard could not take it (Ps2Keyboard.press).
   */
  pressKey(scanCodes: readonly number[]): boolean {
    const isTaken = this.keyboard.press(scanCodes);
    this.#refill();
    return isTaken;
  }

  #reset(): void {
    this.keyboard.reset();
    this.#translator.reset();
    this.#answers = [];
    this.#config = CONFIG_AFTER_FIRMWARE;
    this.#output = I8042Output.RESET | I8042Output.A20;
    this.#buffer = 0;
    this.#status = I8042Status.SYSTEM | I8042Status.NOT_LOCKED;
    this.#parameterOf = undefined;
    this.#refill();
  }

  #save(): unknown {
    return {
      keyboard: this.keyboard.save(),
      isRelease: this.#translator.isRelease,
      answers: this.#answers.map(({ byte, status }) => (status << 8) | byte),
      config: this.#config,
      output: this.#output,
      buffer: this.#buffer,
      status: this.#status,
      parameterOf: this.#parameterOf ?? null,
    };
  }

  #restore(state: unknown): void {
    const from = new SavedState('i8042', state);
    this.keyboard.restore(from.value('keyboard'));
    this.#translator.isRelease = from.boolean('isRelease');
    this.#answers = from
      .integersUpTo('answers', ANSWER_QUEUE_LIMIT, 0, 0xffff)
      .map((answer) => ({ byte: answer & 0xff, status: answer >>> 8 }));
    this.#config = from.byte('config');
    this.#output = I8042Output.RESET | (from.byte('output') & I8042Output.A20);
    this.#buffer = from.byte('buffer');
    this.#status = from.byte('status');
    this.#parameterOf = from.optional('parameterOf', () => from.byte('parameterOf'));
    this.#settle();
  }

  #readData(): number {
    const byte = this.#buffer;
    this.#status &= ~(I8042Status.OUTPUT_FULL | I8042Status.AUX_DATA | I8042Status.TIMEOUT);
    // The line falls before the next byte raises it again, so each byte is an edge.
    this.#settle();
    this.#refill();
    return byte;
  }

  #writeData(byte: number): void {
    this.#status &= ~I8042Status.COMMAND;
    const command = this.#parameterOf;
    this.#parameterOf = undefined;
    if (command === undefined) {
      // A byte for the keyboard enables it.
      this.#config &= ~I8042Config.KEYBOARD_DISABLED;
      this.keyboard.receive(byte);
    } else if (command === I8042Command.WRITE_CONFIG) this.#setConfig(byte);
    else if (command === I8042Command.WRITE_OUTPUT_PORT) this.#setOutputPort(byte);
    else if (command === I8042Command.WRITE_AUX) this.#answer(NO_ANSWER, I8042Status.AUX_DATA | I8042Status.TIMEOUT);
    // Both "write buffer" commands: without a second port there is only one kind of byte.
    else this.#answer(byte);
    this.#refill();
  }

  #writeCommand(command: number): void {
    this.#status |= I8042Status.COMMAND;
    this.#parameterOf = undefined;
    if (command >= I8042Command.PULSE) {
      // A lower bit of 1 leaves its line of the output port high during the pulse.
      if ((command & I8042Output.RESET) === 0) this.#resetMachine(command);
      return;
    }
    switch (command) {
      case I8042Command.WRITE_CONFIG:
      case I8042Command.WRITE_OUTPUT_PORT:
      case I8042Command.WRITE_KEYBOARD_BUFFER:
      case I8042Command.WRITE_AUX_BUFFER:
      case I8042Command.WRITE_AUX:
        this.#parameterOf = command;
        break;
      case I8042Command.DISABLE_AUX:
        this.#setConfig(this.#config | I8042Config.AUX_DISABLED);
        break;
      case I8042Command.ENABLE_AUX:
        this.#setConfig(this.#config & ~I8042Config.AUX_DISABLED);
        break;
      case I8042Command.DISABLE_KEYBOARD:
        this.#setConfig(this.#config | I8042Config.KEYBOARD_DISABLED);
        break;
      case I8042Command.ENABLE_KEYBOARD:
        this.#setConfig(this.#config & ~I8042Config.KEYBOARD_DISABLED);
        break;
      default: {
        const byte = this.#answerTo(command);
        if (byte !== undefined) this.#answer(byte);
      }
    }
    this.#refill();
  }

  /** The answer to a command without a parameter. Undefined for unknown commands. */
  #answerTo(command: number): number | undefined {
    switch (command) {
      case I8042Command.READ_CONFIG:
        return this.#config;
      case I8042Command.PASSWORD_TEST:
        return NO_PASSWORD;
      case I8042Command.SELF_TEST:
        this.#setConfig(this.#config | I8042Config.SYSTEM);
        return SELF_TEST_PASSED;
      case I8042Command.TEST_KEYBOARD:
        return PORT_TEST_PASSED;
      case I8042Command.TEST_AUX:
        return CLOCK_STUCK_LOW;
      case I8042Command.READ_INPUT_PORT:
        return INPUT_PORT;
      case I8042Command.READ_OUTPUT_PORT:
        return this.#output | I8042Output.WIRES | (this.#isInterrupting() ? I8042Output.KEYBOARD_FULL : 0);
      default:
        return undefined;
    }
  }

  #setConfig(config: number): void {
    this.#config = config;
    const system = (config & I8042Config.SYSTEM) === 0 ? 0 : I8042Status.SYSTEM;
    this.#status = (this.#status & ~I8042Status.SYSTEM) | system;
    this.#settle();
  }

  #setOutputPort(value: number): void {
    this.#output = I8042Output.RESET | (value & I8042Output.A20);
    if ((value & I8042Output.RESET) === 0) this.#resetMachine(I8042Command.WRITE_OUTPUT_PORT);
  }

  #resetMachine(command: number): void {
    this.#power.reset(`the guest pulled the reset line of the keyboard controller (command 0x${command.toString(16)})`);
  }

  /** Queues an answer. A full queue drops it: a guest that never reads gets no more. */
  #answer(byte: number, status = 0): void {
    if (this.#answers.length < ANSWER_QUEUE_LIMIT) this.#answers.push({ byte, status });
  }

  /**
   * Fills the output buffer if it is empty: first with the controller's own answers, then from the
   * keyboard.
   */
  #refill(): void {
    if ((this.#status & I8042Status.OUTPUT_FULL) === 0) {
      const answer = this.#answers.shift() ?? this.#fromKeyboard();
      if (answer !== undefined) {
        this.#buffer = answer.byte;
        this.#status |= I8042Status.OUTPUT_FULL | answer.status;
      }
    }
    this.#settle();
  }

  #fromKeyboard(): Answer | undefined {
    if ((this.#config & I8042Config.KEYBOARD_DISABLED) !== 0) return undefined;
    while (this.keyboard.hasByte) {
      const byte = this.keyboard.take();
      const translated = (this.#config & I8042Config.TRANSLATE) === 0 ? byte : this.#translator.translate(byte);
      if (translated !== undefined) return { byte: translated, status: 0 };
    }
    return undefined;
  }

  /** Whether interrupt line 1 is high. */
  #isInterrupting(): boolean {
    // A byte of the auxiliary device would raise line 12, which is not connected.
    const wanted = I8042Status.OUTPUT_FULL | I8042Status.AUX_DATA;
    return (this.#status & wanted) === I8042Status.OUTPUT_FULL && (this.#config & I8042Config.KEYBOARD_INTERRUPT) !== 0;
  }

  /** Drives interrupt line 1 from the registers. */
  #settle(): void {
    this.#interrupt.set(this.#isInterrupting());
  }
}
