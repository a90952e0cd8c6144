/**
 * A timer of 16 bytes, or 16 ports, with an interrupt line. Once enabled it expires every PERIOD
 * milliseconds. Replace it by your device.
 *
 * The guest is hostile: it makes accesses of any offset, size and value. Answer where your data
 * sheet says nothing as a bus does: reads give all ones, writes are ignored.
 */

import { allOnes, type AccessSize, type Clock, type ClockTimer, type Device, type DeviceContext } from 'upcall';
import type { InterruptLine, RegisterMap } from 'upcall';

const ID = 0x0;
const CONTROL = 0x4;
const PERIOD = 0x8;
const STATUS = 0xc;

const ID_VALUE = 0x5550_0001;
const ENABLE = 0x1;
const EXPIRED = 0x1;
const DEFAULT_MS = 1000;
/** Other periods are cut: the guest may write any number. */
const [MIN_MS, MAX_MS] = [1, 60_000];

export interface NewDeviceOptions {
  /** The interrupt line: `--device FILE@RANGE,line=5`. Default: 5. */
  readonly line?: number;
}

interface State {
  readonly control: number;
  readonly periodMs: number;
  readonly status: number;
}

export default class NewDevice implements Device {
  readonly name = 'new-device';
  readonly registers: RegisterMap = {
    source: 'README.md',
    registers: [
      { offset: ID, size: 4, name: 'ID', access: 'r', meaning: 'what this device is', reset: ID_VALUE },
      {
        offset: CONTROL,
        size: 4,
        name: 'CONTROL',
        access: 'rw',
        meaning: 'control',
        reset: 0,
        fields: [{ bits: [0, 0], name: 'ENABLE', meaning: 'the timer runs', access: 'rw' }],
      },
      { offset: PERIOD, size: 4, name: 'PERIOD', access: 'rw', meaning: 'milliseconds, 1 to 60000', reset: DEFAULT_MS },
      {
        offset: STATUS,
        size: 4,
        name: 'STATUS',
        access: 'rw',
        meaning: 'status',
        reset: 0,
        fields: [{ bits: [0, 0], name: 'EXPIRED', meaning: 'the period is over: the line is high', access: 'w1c' }],
      },
    ],
  };
  readonly #clock: Clock;
  readonly #interrupt: InterruptLine;
  #timer: ClockTimer | undefined;
  #control = 0;
  #periodMs = DEFAULT_MS;
  #status = 0;

  constructor(context: Pick<DeviceContext, 'clock' | 'interruptLine'>, options: NewDeviceOptions = {}) {
    this.#clock = context.clock;
    this.#interrupt = context.interruptLine(options.line ?? 5);
  }

  read(offset: number, size: AccessSize): number {
    return this.peek(offset, size);
  }

  /** What `read` returns, for people who look at registers. It must have no effect. */
  peek(offset: number, size: AccessSize): number {
    if (size !== 4) return allOnes(size);
    switch (offset) {
      case ID:
        return ID_VALUE;
      case CONTROL:
        return this.#control;
      case PERIOD:
        return this.#periodMs;
      case STATUS:
        return this.#status;
      default:
        return allOnes(size);
    }
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (size !== 4) return;
    switch (offset) {
      case CONTROL:
        this.#control = value & ENABLE;
        this.#restart();
        break;
      case PERIOD:
        this.#periodMs = Math.min(Math.max(value, MIN_MS), MAX_MS);
        this.#restart();
        break;
      case STATUS:
        this.#setStatus(this.#status & ~value);
        break;
    }
  }

  /** Also the state at power on. */
  reset(): void {
    this.#control = 0;
    this.#periodMs = DEFAULT_MS;
    this.#setStatus(0);
    this.#restart();
  }

  /** For `--watch`: the state that the class goes on with after a change of this file. */
  save(): State {
    return { control: this.#control, periodMs: this.#periodMs, status: this.#status };
  }

  restore({ control, periodMs, status }: State): void {
    this.#control = control;
    this.#periodMs = periodMs;
    this.#setStatus(status);
    this.#restart();
  }

  close(): void {
    this.#timer?.cancel();
  }

  #restart(): void {
    this.#timer?.cancel();
    if ((this.#control & ENABLE) === 0) return;
    this.#timer = this.#clock.schedule(this.#clock.now() + this.#periodMs, () => {
      this.#setStatus(EXPIRED);
      this.#restart();
    });
  }

  #setStatus(status: number): void {
    this.#status = status;
    this.#interrupt.set(status !== 0);
  }
}
