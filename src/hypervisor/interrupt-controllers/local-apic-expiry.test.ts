/** The moment at which the timer of the local APIC expires, however late the next poll is. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InterruptControllers, NO_VECTOR } from './interrupt-controllers.js';

const EOI = 0xb0;
const SVR = 0xf0;
const IRR = 0x200;
const TIMER = 0x320;
const INITIAL_COUNT = 0x380;
const CURRENT_COUNT = 0x390;
const DIVIDE = 0x3e0;
const DIVIDE_BY_1 = 0xb;
const PERIODIC = 1 << 17;
const MASKED = 1 << 16;
const VECTOR = 0x40;
const TICKS_PER_MS = 1_000_000;

class Machine {
  timeMs = 0;
  readonly controllers = new InterruptControllers(() => this.timeMs);

  /** A timer of 1 ms that is due, and that nothing has polled since. */
  constructor(entry = VECTOR) {
    this.write(SVR, 0x1ff);
    this.write(DIVIDE, DIVIDE_BY_1);
    this.write(TIMER, entry);
    this.write(INITIAL_COUNT, TICKS_PER_MS);
    this.timeMs = 1;
  }

  read(offset: number): number {
    return this.controllers.localApic.read(offset);
  }

  write(offset: number, value: number): void {
    this.controllers.localApic.write(offset, value);
  }

  /** All vectors that the CPU gets, now and after a poll. */
  taken(): number[] {
    const vectors: number[] = [];
    for (let poll = 0; poll < 2; poll++) {
      for (;;) {
        const vector = this.controllers.acknowledge();
        if (vector === NO_VECTOR) break;
        vectors.push(vector);
        this.write(EOI, 0);
      }
      this.controllers.expire(this.timeMs);
    }
    return vectors;
  }
}

describe('a timer that expires between two polls', () => {
  test('masked brings no interrupt, though it is unmasked before the poll', () => {
    for (const mode of [0, PERIODIC]) {
      const machine = new Machine(MASKED | mode | VECTOR);
      machine.write(TIMER, mode | VECTOR);
      assert.deepEqual(machine.taken(), []);
    }
  });

  test('interrupts though its entry is masked before the poll', () => {
    const machine = new Machine();
    machine.write(TIMER, MASKED | VECTOR);
    assert.deepEqual(machine.taken(), [VECTOR]);
  });

  test('interrupts though software disables and enables the APIC before the poll', () => {
    const machine = new Machine();
    machine.write(SVR, 0xff);
    machine.write(SVR, 0x1ff);
    assert.deepEqual(machine.taken(), [VECTOR]);
  });

  test('interrupts with the vector that its entry had', () => {
    const machine = new Machine();
    machine.write(TIMER, PERIODIC | 0x51);
    assert.deepEqual(machine.taken(), [VECTOR]);
    assert.equal(machine.read(CURRENT_COUNT), 0, 'a one-shot that expired starts no period');
  });

  test('interrupts once though the guest starts or stops it before the poll', () => {
    for (const count of [0, 5 * TICKS_PER_MS]) {
      const machine = new Machine();
      machine.write(INITIAL_COUNT, count);
      assert.deepEqual(machine.taken(), [VECTOR], `${count}`);
    }
  });

  test('interrupts though another divisor would make it last longer', () => {
    const machine = new Machine();
    machine.write(DIVIDE, 0xa);
    assert.deepEqual(machine.taken(), [VECTOR]);
  });

  test('shows its request as soon as the current count reads 0', () => {
    const machine = new Machine();
    assert.equal(machine.read(CURRENT_COUNT), 0);
    assert.equal(machine.read(IRR + 0x20) & 1, 1);
    assert.equal(machine.controllers.isRequesting, true);
  });

  test('shows its request to a read of IRR that comes first', () => {
    assert.equal(new Machine().read(IRR + 0x20) & 1, 1);
  });

  test('is there for the CPU after an end of interrupt', () => {
    const machine = new Machine();
    machine.write(EOI, 0);
    assert.equal(machine.controllers.isRequesting, true);
  });
});
