/**
 * Seeded defects of the request path (fill, dispatch, finish), and of parking and waking. See
 * defect.ts.
 *
 * `edit` names its place by selectors (engine/change/selector.ts).
 */

import { after, before, drop, move, replace } from '../engine/change/code-change.js';
import { call, condition, declared, ifStatement, nth, statement } from '../engine/change/selector.js';
import type { WorldPlan } from './world.js';
import { SMALLEST } from './configurations.js';
import type { Defect } from './defect.js';

const TWO_REQUESTS: WorldPlan = { ...SMALLEST, requests: 2 };
const TWO_VCPUS: WorldPlan = { ...SMALLEST, vcpuCount: 2 };
const RESET: WorldPlan = { ...SMALLEST, clients: ['later'], acts: ['reset'] };

const REQUEST_PATH: readonly Defect[] = [
  {
    name: 'no-ring',
    sentence: 'No vCPU is woken when its request is completed.',
    module: 'hsm/request-finisher',
    in: 'RequestFinisher.complete',
    edit: replace(call('notify'), '0'),
    plan: SMALLEST,
  },
  {
    name: 'ring-before-complete',
    sentence: 'The vCPU is woken before its slot is COMPLETE.',
    module: 'hsm/request-finisher',
    in: 'RequestFinisher.complete',
    edit: [replace(call('notify'), '0'), replace(statement('complete'), 'this.notify(vcpu); $&')],
    plan: SMALLEST,
  },
  {
    name: 'value-after-complete',
    sentence: 'The value is written after the slot became COMPLETE.',
    module: 'hsm/slot-assignment',
    in: 'SlotAssignment.finish',
    edit: move(statement('setAnswer'), after(statement('complete'))),
    plan: SMALLEST,
  },
  {
    name: 'polling-read-late',
    sentence: 'The polling word is read after the slot became COMPLETE.',
    module: 'hsm/request-finisher',
    in: 'RequestFinisher.complete',
    edit: move(statement('completionPolling'), after(statement('complete'))),
    plan: { ...SMALLEST, isPolling: true },
  },
  {
    name: 'upcall-before-pending',
    sentence: 'The upcall is raised before the slot is PENDING.',
    module: 'hypervisor/io-handler',
    in: 'IoHandler.#request',
    edit: move(statement('raise'), before(ifStatement('fill'))),
    plan: SMALLEST,
  },
  {
    name: 'move-without-comparing',
    sentence: 'A slot’s state is stored, whatever it was.',
    module: 'io-request/slot',
    in: 'Slot.#move',
    edit: replace(call('compareExchange'), '(Atomics.store($1, $2, $4), $3)'),
    plan: RESET,
  },
  {
    name: 'wrong-vcpu',
    sentence: 'Every answer goes to slot 0.',
    module: 'hsm/slot-assignment',
    in: 'SlotAssignment.finish',
    edit: replace(declared('vcpu'), '0'),
    plan: TWO_VCPUS,
  },
  {
    name: 'one-slot-a-pass',
    sentence: 'A pass ends with the first slot that it served: the others starve while the first vCPU asks.',
    module: 'hsm/vm-requests',
    in: 'VmRequests.dispatch',
    edit: replace(ifStatement('#dispatchSlot'), 'if ($1) return 0;'),
    plan: { ...TWO_VCPUS, requests: 3, isPolling: true },
  },
];

/** The poll after the doorbell was armed. The first one stands before it. */
const LAST_POLL = nth(ifStatement('ordered'), 2, 2);

const SLEEPING: readonly Defect[] = [
  {
    name: 'asleep-after-last-poll',
    sentence: 'A vCPU says that it sleeps after its last poll.',
    module: 'sync/doorbell',
    in: 'Doorbell.wait',
    edit: move(statement('rings', '#arm'), after(LAST_POLL)),
    plan: SMALLEST,
  },
  {
    name: 'worker-asleep-after-last-poll',
    sentence: 'The worker says that it sleeps after its last poll: an upcall in between is lost.',
    module: 'sync/doorbell',
    in: 'Doorbell.waitAsync',
    edit: move(statement('rings', '#arm'), after(LAST_POLL)),
    plan: TWO_REQUESTS,
  },
  {
    name: 'no-last-poll',
    sentence: 'A vCPU parks without a last poll.',
    module: 'sync/doorbell',
    in: 'Doorbell.wait',
    edit: move(LAST_POLL, after(statement('Atomics', 'wait'))),
    plan: SMALLEST,
  },
  {
    name: 'rings-read-late',
    sentence: 'The worker reads the count of rings after its last poll.',
    module: 'sync/doorbell',
    in: 'Doorbell.waitAsync',
    edit: [
      move(statement('rings', '#arm'), after(LAST_POLL)),
      replace(nth(condition('ordered'), 2, 2), '(this.#arm(), $&)'),
    ],
    plan: TWO_REQUESTS,
  },
  {
    name: 'ring-without-count',
    sentence: 'A ring wakes a sleeping waiter and does not count: a waiter that is about to sleep misses it.',
    module: 'sync/doorbell',
    in: 'Doorbell.ring',
    edit: drop(statement('add')),
    plan: SMALLEST,
  },
  {
    name: 'ring-without-wake',
    sentence: 'A ring counts and wakes no waiter.',
    module: 'sync/doorbell',
    in: 'Doorbell.ring',
    edit: drop(statement('notify')),
    plan: SMALLEST,
  },
  {
    name: 'withdrawn-polls-on',
    sentence: 'A vCPU whose request was withdrawn polls for its answer forever.',
    module: 'hypervisor/io-handler',
    in: 'IoHandler.#request',
    edit: drop(ifStatement('isLost')),
    plan: RESET,
  },
  {
    name: 'interrupt-rung-early',
    sentence: 'The vCPU is woken before the interrupt is recorded.',
    module: 'hypervisor/interrupt-lines',
    in: 'InterruptLines.set',
    edit: move(statement('ring'), before(statement('or'))),
    plan: { ...SMALLEST, interrupts: 1 },
  },
  {
    name: 'resume-without-raise',
    sentence: 'The worker is not woken when it is resumed after a pause.',
    module: 'hsm/dispatch-worker',
    in: 'DispatchWorker.queuePass',
    edit: drop(statement('raise')),
    plan: { ...SMALLEST, acts: ['pause-worker'] },
  },
  {
    name: 'first-vm-only',
    sentence: 'The worker’s last poll before it sleeps covers only the newest VM.',
    module: 'hsm/dispatch-worker',
    in: 'DispatchWorker.#hasWork',
    edit: replace(ifStatement('ordered'), 'return $1;'),
    plan: { ...SMALLEST, vmCount: 2 },
  },
];

export const REQUEST_DEFECTS: readonly Defect[] = [...REQUEST_PATH, ...SLEEPING];
