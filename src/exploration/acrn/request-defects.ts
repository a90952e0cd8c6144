/**
 * Seeded defects of the request path (fill, dispatch, finish), and of parking and waking. See
 * defect.ts.
 *
 * Called by: defects.ts.
 *
 * `edit` names its place by selectors (engine/change/selector.ts). In replacements `$&` is the
 * node's own text and `$1` its first part, such as a call's first argument
 * (engine/change/code-change.ts).
 */

import { after, before, drop, move, replace } from '../engine/change/code-change.js';
import {
  access,
  binary,
  call,
  condition,
  conditional,
  declared,
  ifStatement,
  initial,
  nth,
  statement,
} from '../engine/change/selector.js';
import type { WorldPlan } from './world.js';
import { SMALLEST } from './configurations.js';
import type { Defect } from './defect.js';

const TWO_REQUESTS: WorldPlan = { ...SMALLEST, requests: 2 };
const INTERRUPT: WorldPlan = { ...SMALLEST, requests: 0, interrupts: 1 };
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
    // A request may miss one pass and be served in the next (MAX_PASSES in invariants.ts). So it
    // takes three requests of vCPU 0, each served first, to show that vCPU 1 starves.
    sentence: 'A pass ends with the first slot that it served: the others starve while the first vCPU asks.',
    module: 'hsm/vm-requests',
    in: 'VmRequests.dispatch',
    edit: replace(ifStatement('#dispatchSlot'), 'if ($1) return 0;'),
    plan: { ...TWO_VCPUS, requests: 3, isPolling: true },
  },
];

/** The second of the two polls in a wait: that after the doorbell was armed. */
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
    edit: drop(statement('wake')),
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

/** Accesses without the order, or the atomicity, that the other side relies on. */
const ORDER: readonly Defect[] = [
  {
    name: 'armed-stored-plainly',
    sentence: 'A waiter arms its doorbell by a plain store.',
    module: 'sync/doorbell',
    in: 'Doorbell.#arm',
    edit: replace(call('store'), '$1[$2] = $3'),
    plan: SMALLEST,
  },
  {
    name: 'state-moved-plainly',
    sentence: 'A slot’s state is compared and then stored plainly.',
    module: 'io-request/slot',
    in: 'Slot.#move',
    edit: replace(call('compareExchange'), '($1[$2] = $4, $3)'),
    plan: SMALLEST,
  },
  {
    name: 'halt-polls-relaxed',
    sentence: 'A halted vCPU parks after a relaxed poll of the interrupt lines.',
    module: 'hypervisor/vcpu-loop',
    in: 'runVcpu',
    edit: replace(access('lines', 'changed'), 'shared.lines.relaxedChanged'),
    plan: INTERRUPT,
  },
  {
    name: 'park-polls-relaxed',
    sentence: 'A vCPU of a VM that does not run parks after a relaxed poll of the VM’s state.',
    module: 'hypervisor/vcpu-loop',
    in: 'runVcpu',
    edit: replace(initial('state'), 'shared.relaxedVmState'),
    plan: RESET,
  },
  {
    name: 'answer-polled-relaxed',
    sentence: 'A vCPU parks after a relaxed poll of its slot.',
    module: 'hypervisor/answer-poll',
    in: 'AnswerPoll.ordered',
    edit: replace(access('#slot', 'state'), 'this.#slot.relaxedState'),
    plan: SMALLEST,
  },
  {
    name: 'worker-polls-relaxed',
    sentence: 'The worker parks after a relaxed poll of the slots.',
    module: 'hsm/dispatch-worker',
    in: 'DispatchWorker.#hasWork',
    edit: replace(call('ordered'), '$0.relaxed()'),
    plan: SMALLEST,
  },
  {
    name: 'ring-stores-one',
    sentence: 'A ring stores 1 instead of counting: the second of two is no change.',
    module: 'sync/doorbell',
    in: 'Doorbell.ring',
    edit: replace(call('add'), 'Atomics.store($1, $2, 1)'),
    plan: { ...SMALLEST, spuriousUpcalls: 1, ringers: 2 },
  },
  {
    name: 'line-stored',
    sentence: 'A line’s word is stored without comparing: a second source loses an edge.',
    module: 'hypervisor/interrupt-lines',
    in: 'InterruptLines.set',
    edit: replace(condition('move'), '(this.#words.store(line, next), true)'),
    plan: { ...INTERRUPT, interrupts: 2, sources: [4, 4] },
  },
  {
    name: 'changed-bit-stored',
    sentence: 'The bit of a changed line is stored over those of others.',
    module: 'hypervisor/interrupt-lines',
    in: 'InterruptLines.set',
    edit: replace(call('or'), '$0.store($1, $2)'),
    plan: { ...INTERRUPT, sources: [4, 5] },
  },
];

const TICKETS: readonly Defect[] = [
  {
    name: 'ticket-wraps-to-0',
    sentence: 'The ticket after the last one is 0, which means "not assigned".',
    module: 'hsm/ticket-counter',
    in: 'TicketCounter.next',
    edit: replace(conditional('MAX_TICKET'), '$1 ? 0 : $3'),
    plan: TWO_REQUESTS,
  },
  {
    name: 'ticket-turns-negative',
    sentence: 'The ticket after the last one is negative, which means "being finished".',
    module: 'hsm/ticket-counter',
    in: 'TicketCounter.next',
    edit: replace(conditional('MAX_TICKET'), '$3'),
    plan: TWO_REQUESTS,
  },
  {
    name: 'ticket-repeats',
    sentence: 'Every assignment of a slot has the same ticket: an answer from before a reset is accepted.',
    module: 'hsm/ticket-counter',
    in: 'TicketCounter.next',
    edit: replace(binary('+'), '1'),
    plan: { ...RESET, requests: 2 },
  },
];

export const REQUEST_DEFECTS: readonly Defect[] = [...REQUEST_PATH, ...SLEEPING, ...ORDER, ...TICKETS];
