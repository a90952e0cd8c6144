import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { INTERRUPT_LINE_WORDS, InterruptLines, LineDriver } from '../hypervisor/interrupt-lines.js';
import { LinePins } from '../hypervisor/line-pins.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { Doorbell } from '../sync/doorbell.js';
import { SharedWords } from '../sync/shared-words.js';
import { DeviceLines } from './device-lines.js';

function make(): { lines: InterruptLines; outputs: DeviceLines } {
  const lines = new InterruptLines(new SharedWords(INTERRUPT_LINE_WORDS).buffer, new Doorbell());
  return { lines, outputs: new DeviceLines(lines, LineDriver.SERVICE_VM) };
}

describe('the interrupt outputs of devices', () => {
  test('to one line are wired-OR', () => {
    const { lines, outputs } = make();
    const [first, second] = [outputs.output(5), outputs.output(5)];
    first.set(true);
    first.set(true);
    second.set(true);
    first.set(false);
    assert.equal(lines.level(5), true);
    first.set(false);
    assert.equal(lines.level(5), true);
    second.set(false);
    assert.equal(lines.level(5), false);
  });

  test('change nothing when they are set to the level that they have', () => {
    const { lines, outputs } = make();
    const output = outputs.output(5);
    output.set(true);
    output.set(true);
    output.set(false);
    assert.equal(lines.level(5), false);
    output.set(false);
    output.set(true);
    assert.equal(lines.level(5), true);
  });

  test('to different lines have nothing to do with each other, nor with other drivers', () => {
    const { lines, outputs } = make();
    lines.set(5, true, LineDriver.HYPERCALL);
    outputs.output(5).set(false);
    outputs.output(6).set(true);
    assert.deepEqual([lines.level(5), lines.level(6)], [true, true]);
  });

  for (const gsi of [-1, 48, 99, 1.5, NaN])
    test(`line ${gsi} is refused with its range`, () => {
      assert.throws(
        () => make().outputs.output(gsi),
        (error) =>
          error instanceof UpcallError &&
          error.code === 'LINE_INVALID' &&
          error.message === `interrupt line ${gsi} does not exist` &&
          error.remedy === 'Lines are 0 to 47',
      );
    });

  test('are refused where the controllers have fewer pins', () => {
    const { buffer } = new SharedWords(INTERRUPT_LINE_WORDS);
    const pins = new LinePins(LinePins.create(99), { set: () => undefined });
    const outputs = new DeviceLines(new InterruptLines(buffer, new Doorbell(), pins), LineDriver.SERVICE_VM);
    outputs.output(23).set(true);
    assert.throws(() => outputs.output(24), { code: 'LINE_INVALID', remedy: 'Lines are 0 to 23' });
  });
});
