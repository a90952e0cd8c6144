/** Controllers that are restored go on as those that were saved, under random accesses. */

import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'node:test';
import { UpcallError } from '../../io-request/upcall-error.js';
import { InterruptControllers } from './interrupt-controllers.js';
import { Register } from './local-apic-registers.js';

interface Step {
  readonly kind: number;
  readonly at: number;
  readonly value: number;
}

const OFFSETS = Object.values(Register);
const word = fc.oneof(
  fc.integer({ min: 0, max: 255 }),
  fc.integer({ min: 0, max: 0xffff_ffff }),
  // Entries of the tables: vector, mode, polarity, trigger, mask.
  fc
    .integer({ min: 16, max: 255 })
    .chain((vector) => fc.constantFrom(...[0, 0x8000, 0x2000, 0x1_0000, 0x700, 0xa000].map((bits) => bits | vector))),
);
const steps = fc.array(fc.record<Step>({ kind: fc.nat(11), at: fc.nat(47), value: word }), { maxLength: 80 });

class Bench {
  now = 1000;
  readonly events: string[] = [];
  readonly controllers = new InterruptControllers(
    () => this.now,
    (line) => this.events.push(`end ${line}`),
  );

  play(program: readonly Step[]): readonly unknown[] {
    return program.map((step) => [this.#step(step), this.controllers.isRequesting, this.controllers.hasNmi]);
  }

  /** Returns what a read gives. */
  #step({ kind, at, value }: Step): unknown {
    const { controllers } = this;
    const chip = (at & 1) === 0 ? controllers.pics.first : controllers.pics.second;
    const offset = OFFSETS[at % OFFSETS.length] as number;
    if (kind === 0) controllers.raise(at);
    else if (kind === 1) controllers.lower(at);
    else if (kind === 2) return controllers.acknowledge();
    else if (kind === 3) controllers.message((value >> 8) & 7, value & 0xff);
    else if (kind === 4) return controllers.pics.read(chip, (at & 2) !== 0);
    else if (kind === 5) controllers.pics.write(chip, (at & 2) !== 0, value & 0xff);
    else if (kind === 6) controllers.pics.writeLevelControl(chip, value & 0xff);
    else if (kind === 7) {
      controllers.ioApic.write(0, 0x10 + 2 * (at % 48) + (value & 1));
      controllers.ioApic.write(0x10, value);
    } else if (kind === 8) return controllers.localApic.read(offset);
    else if (kind === 9)
      controllers.localApic.write(offset, offset === Register.SPURIOUS_VECTOR ? value | 0x100 : value);
    else if (kind === 10) {
      this.now += (value & 0xff) / 10;
      return controllers.expire(this.now);
    } else if (at < 4) controllers.setLocalApicExists((value & 1) !== 0);
    else controllers.takeNmi();
    return undefined;
  }
}

test('restored controllers answer and request as the saved ones', () => {
  fc.assert(
    fc.property(steps, steps, (before, after) => {
      const original = new Bench();
      original.play(before);
      const restored = new Bench();
      restored.now = original.now;
      restored.controllers.restore(JSON.parse(JSON.stringify(original.controllers.save())));
      assert.deepEqual(restored.events, [], 'nothing is delivered by the restore');
      original.events.length = 0;
      assert.equal(restored.controllers.isRequesting, original.controllers.isRequesting);
      assert.deepEqual(restored.play(after), original.play(after));
      assert.deepEqual(restored.events, original.events);
      assert.deepEqual(restored.controllers.save(), original.controllers.save());
    }),
    { numRuns: 300 },
  );
});

test('a state with a bad field is refused', () => {
  const state = new InterruptControllers(() => 0).save() as Record<string, Record<string, unknown>>;
  for (const [part, field, value] of [
    ['pics', 'gsis', -1],
    ['pics', 'timerGsi', 5],
    ['ioApic', 'low', [1, 2]],
    ['ioApic', 'selected', 256],
    ['localApic', 'taskPriority', '1'],
    ['localApic', 'vectors', null],
  ] as const)
    assert.throws(
      () => new InterruptControllers(() => 0).restore({ ...state, [part]: { ...state[part], [field]: value } }),
      (error) => error instanceof UpcallError && error.code === 'SNAPSHOT_INVALID' && error.message.includes(field),
      `${part}.${field}`,
    );
});

test('the end of an interrupt that was in service when it was saved is reported', () => {
  const original = new Bench();
  const { controllers } = original;
  controllers.localApic.write(Register.SPURIOUS_VECTOR, 0x1ff);
  controllers.ioApic.write(0, 0x10 + 2 * 5);
  controllers.ioApic.write(0x10, 0x30);
  controllers.raise(5);
  assert.equal(controllers.acknowledge(), 0x30);
  const restored = new Bench();
  restored.controllers.restore(JSON.parse(JSON.stringify(controllers.save())));
  restored.controllers.localApic.write(Register.END_OF_INTERRUPT, 0);
  assert.deepEqual(restored.events, ['end 5']);
});
