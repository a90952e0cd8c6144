// @ts-check
/**
 * The cost of the trace: the four moves of a request in one thread, and a complete request between
 * the vCPU's thread and the Service VM's. In one thread the value is the fastest batch, which no
 * other program disturbed.
 */

import { createLoopVm } from '../loop-hypervisor.js';
import { pairedWindows } from '../paired-windows.js';
import { product } from '../product.js';

export const title = 'The trace';

const FILE = 'cases/trace-moves.js';
const BATCHES = 3000;
const REQUESTS = 500;
const PAIRS = 40;
const WINDOW_MS = 70;
/**
 * @param {string} threads
 * @param {string} how
 * @param {string} name
 * @param {Partial<import('../rows.js').Row>} [more]
 * @returns {import('../rows.js').Row}
 */
const row = (threads, how, name, more = {}) => ({
  name,
  unit: 'ns',
  process: { file: FILE, args: [threads, how], cores: Number(threads) },
  ...more,
});
const UNOBSERVED = 'trace: four moves, no observer';
const compare = [{ to: UNOBSERVED }];

/** @type {import('../rows.js').Row[]} */
export const rows = [
  row('1', 'none', UNOBSERVED),
  row('1', 'off', 'trace: four moves, switched off', { compare }),
  row('1', 'burst', 'trace: four moves, on, in a burst', { compare }),
  row('1', 'all', 'trace: four moves, on, all of them timed', { compare }),
  row('2', 'requests', 'trace: two threads, switched off', { value: 'offNs' }),
  row('2', 'requests', 'trace: two threads, on', { value: 'onNs' }),
  row('2', 'requests', 'trace: two threads, what it adds', { value: 'addedNs', max: 60 }),
];

/** @param {string} threads @param {string} how */
export const measure = (threads, how) => (threads === '1' ? moves(how) : requests());

/** @param {string} how */
async function moves(how) {
  const { SharedBuffer } = await product('index.js');
  const { MoveRecorder } = await product('trace/move-recorder.js');
  const { TraceRing } = await product('trace/trace-ring.js');
  const slot = new SharedBuffer().slot(0);
  const ring = new TraceRing();
  ring.isOn = how === 'burst' || how === 'all';
  if (how !== 'none') new MoveRecorder(ring, how === 'all' ? { burstMs: 0 } : {}).observe(slot);
  const request = () => {
    slot.fill(0, 0, 0x500, 0, 1, 0, 0, false);
    slot.assign(true);
    slot.setValue(1);
    slot.complete();
    slot.release();
  };
  let quickestMs = Infinity;
  for (let batch = 0; batch < BATCHES; batch++) {
    const since = performance.now();
    for (let i = 0; i < REQUESTS; i++) request();
    quickestMs = Math.min(quickestMs, performance.now() - since);
  }
  return { value: (quickestMs * 1e6) / REQUESTS };
}

async function requests() {
  // The guest warms up until the process ends: what counts is measured here.
  const { vm } = await createLoopVm({ warmUpMs: 3_600_000, measureMs: 0 }, false);
  await vm.start();
  /** @type {{ close(): void } | undefined} */
  let sampleMoves;
  return pairedWindows({
    requests: () => vm.counters().requests,
    // There is no reader: its work is not part of this measurement.
    turn: (isOn) => {
      sampleMoves?.close();
      sampleMoves = isOn ? vm.inspection.sampleMoves() : undefined;
    },
    pairs: PAIRS,
    windowMs: WINDOW_MS,
  });
}
