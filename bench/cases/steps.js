// @ts-check
/**
 * The cost of each part of a request in one thread: each step adds one part of the product, in a
 * process of its own. bench/picture.js draws them. The value is the fastest batch, which no other
 * program disturbed.
 */

import { product } from '../product.js';

export const title = 'A request in one thread, step by step';

const BATCH = 1024;
const WARM_UP_BATCHES = 400;
const BATCHES = 3000;
/** Of device memory, as a signed word: Slot.fill takes one. */
const ADDRESS = 0xd000_0000 | 0;
const RANGES = 16;
/** The state's index among the 32-bit words of a slot (io-request/layout.ts). */
const STATE = 34;

/** Each step has all of the step before. */
export const STEPS = [
  'four compare-and-exchanges',
  'the slot’s moves',
  'the ordered poll',
  'the HSM’s copy',
  'the completion',
  'the assignment and its ticket',
  'the dispatcher, 16 ranges',
];

/** @type {import('../rows.js').Row[]} */
export const rows = STEPS.map((step, index) => ({
  name: `step ${index + 1}: ${step}`,
  unit: 'ns',
  process: { file: 'cases/steps.js', args: [String(index)] },
}));

/** @param {string} text index of the step @returns {Promise<{ value: number }>} */
export async function measure(text) {
  const batch = await batchOf(Number(text));
  for (let i = 0; i < WARM_UP_BATCHES; i++) batch();
  let quickest = Infinity;
  for (let i = 0; i < BATCHES; i++) {
    const start = performance.now();
    batch();
    quickest = Math.min(quickest, performance.now() - start);
  }
  return { value: (quickest * 1e6) / BATCH };
}

/** @param {number} step @returns {Promise<() => void>} BATCH requests */
async function batchOf(step) {
  if (step === 0) return exchanges();
  const { SharedBuffer } = await product('index.js');
  const buffer = new SharedBuffer();
  const slot = buffer.slot(0);
  if (step >= 6) return dispatched(buffer, slot);
  const { Assignments } = await product('hsm/assignments.js');
  const assignments = new Assignments({ buffer, hypercalls: { vcpuCount: 1, notifyRequestFinish: () => 0 } });
  const assignment = assignments.of(0);
  const { request } = assignment;
  const client = {
    name: 'client',
    notify: (/** @type {import('../../dist/index.js').AssignedRequest} */ given) =>
      void given.finish(given.ticket, 1, 0),
  };
  const fill = () => {
    // A read of four bytes of device memory: type, direction, address, size, value, polling.
    if (!slot.fill(1, 0, ADDRESS, 0, 4, 0, 0, false)) throw new Error('the slot is not free');
  };
  const poll = () => {
    if (slot.relaxedState !== 0 || slot.state !== 0) throw new Error('the slot is not pending');
  };
  // From STEPS[1] on, without the last one.
  const steps = [
    () => {
      fill();
      slot.assign(true);
      slot.complete();
      slot.release();
    },
    () => {
      fill();
      poll();
      slot.assign(true);
      slot.complete();
      slot.release();
    },
    () => {
      fill();
      poll();
      slot.copyTo(request);
      slot.assign(true);
      slot.complete();
      slot.release();
    },
    () => {
      fill();
      poll();
      slot.copyTo(request);
      slot.assign(true);
      slot.setAnswer(request.type, request.direction, 1, 0);
      assignments.finisher.complete(0);
      slot.release();
    },
    () => {
      fill();
      poll();
      slot.copyTo(request);
      assignment.assign(client, true);
      client.notify(request);
      slot.release();
    },
  ];
  const one = /** @type {() => void} */ (steps[step - 1]);
  return () => {
    for (let i = 0; i < BATCH; i++) one();
  };
}

/** Only the transitions of a slot's state word. */
function exchanges() {
  const words = new Int32Array(new SharedArrayBuffer(4096));
  return () => {
    for (let i = 0; i < BATCH; i++) {
      Atomics.compareExchange(words, STATE, 0, 1);
      Atomics.compareExchange(words, STATE, 1, 2);
      Atomics.compareExchange(words, STATE, 2, 3);
      Atomics.compareExchange(words, STATE, 3, 0);
    }
  };
}

/**
 * @param {import('../../dist/index.js').SharedBuffer} buffer
 * @param {import('../../dist/index.js').Slot} slot
 */
async function dispatched(buffer, slot) {
  const { VmRequests } = await product('hsm/vm-requests.js');
  const { mmio } = await product('index.js');
  const requests = new VmRequests({
    vmId: 1,
    buffer,
    hypercalls: { vcpuCount: 1, notifyRequestFinish: () => 0 },
    observer: { event: (event) => void console.error(event) },
    clientTimeoutMs: Infinity,
  });
  const clientOf = (/** @type {string} */ name) => ({
    name,
    notify: (/** @type {import('../../dist/index.js').AssignedRequest} */ given) =>
      void given.finish(given.ticket, 1, 0),
  });
  requests.clients.addDefault(clientOf('default'));
  for (let i = 0; i < RANGES; i++)
    requests.clients.add(clientOf(`client ${i}`), [mmio((ADDRESS >>> 0) + i * 4096, 4096)]);
  return () => {
    for (let i = 0; i < BATCH; i++) {
      if (!slot.fill(1, 0, ADDRESS + (i & (RANGES - 1)) * 4096, 0, 4, 0, 0, false))
        throw new Error('the slot is not free');
      requests.dispatch();
      slot.release();
    }
  };
}
