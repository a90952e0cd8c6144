// @ts-check
/**
 * What the trace costs a request: its four moves in one thread, without the hand-overs, and a whole request between the
 * vCPU's thread and the Service VM's. In one thread the value is the quickest batch, so that nothing else disturbs.
 */

import { createLoopVm } from '../loop-hypervisor.js';
import { nsEach } from '../machine.js';
import { product } from '../product.js';

export const title = 'The trace';

const FILE = 'cases/trace-moves.js';
const BATCHES = 3000;
const REQUESTS = 500;
/** @param {string} threads @param {string} how @param {string} name @param {string} [to] @returns {import('../rows.js').Row} */
const row = (threads, how, name, to) => ({
  name,
  unit: 'ns',
  process: { file: FILE, args: [threads, how], cores: Number(threads) },
  ...(to === undefined ? {} : { compare: [{ to }] }),
});
const NOBODY = 'trace: four moves, no watcher';
const OFF = 'trace: two threads, switched off';

/** @type {import('../rows.js').Row[]} */
export const rows = [
  row('1', 'none', NOBODY),
  row('1', 'off', 'trace: four moves, switched off', NOBODY),
  row('1', 'burst', 'trace: four moves, on, in a burst', NOBODY),
  row('1', 'all', 'trace: four moves, on, all of them timed', NOBODY),
  row('2', 'off', OFF),
  row('2', 'on', 'trace: two threads, on', OFF),
  row('2', 'statistics', 'trace: two threads, statistics', OFF),
];

/** @param {string} threads @param {string} how */
export const measure = (threads, how) => (threads === '1' ? moves(how) : requests(how));

/** @param {string} how */
async function moves(how) {
  const { SharedBuffer } = await product('index.js');
  const { MoveRecorder } = await product('trace/move-recorder.js');
  const { TraceRing } = await product('trace/trace-ring.js');
  const slot = new SharedBuffer().slot(0);
  const ring = new TraceRing();
  ring.isOn = how === 'burst' || how === 'all';
  if (how !== 'none') slot.watcher = new MoveRecorder(ring, how === 'all' ? { burstMs: 0 } : {});
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

/** @param {string} how */
async function requests(how) {
  const { vm, result } = await createLoopVm({ warmUpMs: 300, measureMs: 300 }, how === 'statistics');
  // Nobody reads: a reader's own work is another question.
  if (how === 'on') vm.trace();
  await vm.start();
  return { value: nsEach(await result) };
}
