import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LineDriver } from '../../hypervisor/interrupt-lines.js';
import { VmSharedState } from '../../hypervisor/vm-shared-state.js';
import { ThreadLines } from './thread-lines.js';

test('each thread drives the lines under a number of its own, and lowers them at its end', () => {
  const { lines } = new VmSharedState();
  const [first, second] = [new ThreadLines(lines), new ThreadLines(lines)];
  for (const own of Object.values(LineDriver)) {
    lines.set(7, true, own);
    first.disconnect();
    assert.equal(lines.level(7), true, 'it has no number yet');
    lines.set(7, false, own);
  }
  const driver = first.connect('first');
  const other = second.connect('second');
  assert.notEqual(driver, other);
  lines.set(5, true, driver);
  lines.set(6, true, other);
  first.disconnect();
  assert.deepEqual([lines.level(5), lines.level(6)], [false, true]);
  const third = new ThreadLines(lines);
  assert.equal(third.connect('third'), driver);
  lines.set(5, true, driver);
  first.disconnect();
  assert.equal(lines.level(5), true, 'the number is another thread’s by now');
});

test('a thread that is one too many is refused with its name', () => {
  const { lines } = new VmSharedState();
  while (lines.addDriver() !== undefined);
  const threadLines = new ThreadLines(lines);
  assert.throws(() => threadLines.connect('a disk'), { code: 'VM_LIMIT', message: /^device a disk: / });
});
