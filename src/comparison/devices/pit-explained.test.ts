import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Difference } from '../compared-device.js';
import { read, write, type Step } from '../step.js';
import { PIT_EXPLAINED } from './pit-explained.js';

const CONTROL = 3;
const GATE_PORT = 0x21;
const OUT_2 = 0x20;
const NULL_COUNT = 0x40;
const OUT = 0x80;

/** What explains that `bit` differs in the last step, a read. The programmed count is even. */
function explanation(counter: number, mode: number, last: readonly Step[], bit: number): string | undefined {
  const ours = { value: bit, timeNs: 0, level: false, rises: 0 };
  const reference = { ...ours, value: 0 };
  const steps = [
    write(GATE_PORT, 1),
    ...[write(CONTROL, (counter << 6) | 0x30 | (mode << 1)), write(counter, 0), write(counter, 0x40)],
    ...last,
  ];
  const difference: Difference = {
    ...{ steps, step: steps.at(-1) as Step, of: 'value', actionStart: 0 },
    ...{ ours, reference, allOurs: [ours], allReference: [reference] },
    oursLater: () => ours,
  };
  return PIT_EXPLAINED.find((one) => one.matches(difference))?.what;
}

test('OUT of an interval timer differs in the modes that QEMU inverts, and in no other', () => {
  const isExplained = (mode: number): boolean => explanation(2, mode, [read(GATE_PORT)], OUT_2) !== undefined;
  // Mode 1 waits for a rising gate, which is another difference.
  assert.deepEqual([0, 2, 3, 4, 5].filter(isExplained), [2, 4, 5]);
});

test('a status byte may differ in null count in every mode, and in OUT where QEMU inverts it', () => {
  const status = [write(CONTROL, 0xe0 | 2), read(0)];
  const isExplained = (bit: number) => (mode: number) => explanation(0, mode, status, bit) !== undefined;
  assert.deepEqual([0, 2, 3, 4].filter(isExplained(NULL_COUNT)), [0, 2, 3, 4]);
  assert.deepEqual([0, 2, 3, 4].filter(isExplained(OUT)), [2, 4]);
  assert.deepEqual([0, 2, 3, 4].filter(isExplained(NULL_COUNT | 1)), []);
});
