import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Doorbell } from '../sync/doorbell.js';
import { SharedWords } from '../sync/shared-words.js';
import { INTERRUPT_LINE_WORDS, InterruptLines } from './interrupt-lines.js';
import { LinePins } from './line-pins.js';

/** The lines of a VM, the calls of the kernel as "4 high", and what happens during a call. */
class Machine {
  readonly calls: string[] = [];
  readonly doorbell = new Doorbell();
  readonly #words = new SharedWords(INTERRUPT_LINE_WORDS);
  readonly #handle = LinePins.create(99);
  readonly lines: InterruptLines;
  readonly pins: LinePins;
  during: (() => void) | undefined;

  constructor() {
    const thread = this.thread();
    this.lines = thread.lines;
    this.pins = thread.pins;
  }

  /** The objects of another thread. */
  thread(): { readonly lines: InterruptLines; readonly pins: LinePins } {
    const pins = new LinePins(this.#handle, {
      set: (line, high) => {
        this.calls.push(`${line} ${high ? 'high' : 'low'}`);
        const { during } = this;
        this.during = undefined;
        during?.();
      },
    });
    return { lines: new InterruptLines(this.#words.buffer, this.doorbell, pins), pins };
  }
}

describe('line pins', () => {
  test('follow a line before the change returns, and no vCPU is rung', () => {
    const machine = new Machine();
    machine.lines.set(4, true);
    assert.deepEqual(machine.calls, ['4 high']);
    machine.lines.pulse(20);
    machine.lines.set(4, false);
    assert.deepEqual(machine.calls, ['4 high', '20 high', '20 low', '4 low']);
    assert.equal(machine.doorbell.rings, 0);
  });

  test('are 24, as the kernel’s I/O APIC has', () => {
    const { lines, calls } = new Machine();
    assert.equal(lines.count, 24);
    lines.pulse(23);
    lines.pulse(24);
    assert.deepEqual(calls, ['23 high', '23 low']);
  });

  test('are free, and as the lines say, after a reset that failed', () => {
    const { lines, pins, calls } = new Machine();
    lines.set(4, true);
    const work = (): void => {
      throw new Error('the kernel refuses');
    };
    assert.throws(() => pins.reset(lines, work), /the kernel refuses/);
    lines.set(5, true);
    assert.deepEqual(calls.slice(-2).sort(), ['4 high', '5 high']);
    assert.equal(pins.close(), true);
  });

  test('follow a line that several drivers hold', () => {
    const machine = new Machine();
    machine.lines.set(5, true, 0);
    machine.lines.set(5, true, 3);
    machine.lines.set(5, false, 0);
    assert.deepEqual(machine.calls, ['5 high']);
    machine.lines.set(5, false, 3);
    assert.deepEqual(machine.calls, ['5 high', '5 low']);
  });

  test('take a change that another thread makes in the midst of theirs', () => {
    const machine = new Machine();
    const other = machine.thread().lines;
    machine.during = () => {
      other.pulse(7, 2);
      other.set(4, false);
      assert.deepEqual(machine.calls, ['4 high'], 'two threads called the kernel at once');
    };
    machine.lines.set(4, true);
    assert.deepEqual(machine.calls, ['4 high', '4 low', '7 high', '7 low']);
  });

  test('go on when a thread ended in the midst of a change', () => {
    const machine = new Machine();
    const driver = machine.lines.addDriver() ?? 0;
    const other = machine.thread().lines;
    machine.lines.set(6, true);
    machine.during = () => {
      machine.lines.set(9, true);
      assert.deepEqual(machine.calls, ['6 high', '8 high'], 'the lock was not taken');
      // What a thread that is terminated leaves: the lock.
      machine.lines.removeDriver(driver);
    };
    other.set(8, true, driver);
    assert.deepEqual(machine.calls.slice(2).sort(), ['6 high', '6 low', '8 high', '8 low', '8 low', '9 high']);
  });

  test('are lowered at a reset, and raised anew afterwards', () => {
    const machine = new Machine();
    machine.lines.set(4, true);
    machine.pins.reset(machine.lines, () => machine.calls.push('reset'));
    assert.deepEqual(machine.calls, ['4 high', '4 low', 'reset', '4 high']);
    machine.lines.set(4, false);
    assert.deepEqual(machine.calls.slice(4), ['4 low']);
  });

  test('are left alone once they are closed, by every thread', () => {
    const machine = new Machine();
    assert.equal(machine.pins.close(), true);
    machine.lines.set(4, true);
    machine.thread().lines.set(5, true, 2);
    machine.lines.removeDriver(2);
    assert.deepEqual(machine.calls, []);
  });

  test('cannot be closed while a thread calls the kernel', () => {
    const machine = new Machine();
    const other = machine.thread();
    let isClosed: boolean | undefined;
    machine.during = () => (isClosed = other.pins.close());
    machine.lines.set(4, true);
    assert.equal(isClosed, false);
    assert.equal(other.pins.close(), true);
  });
});
