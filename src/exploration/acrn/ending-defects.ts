/**
 * Seeded defects of ways in which a request ends without its client's answer (reset, CLEAR, a
 * client that ends), and of devices with threads of their own. See defect.ts.
 *
 * Called by: defects.ts.
 *
 * `edit` names its place by selectors (engine/change/selector.ts). In replacements `$1` and `$2`
 * are parts of the node, such as the operands of a comparison (engine/change/code-change.ts).
 */

import { before, copy, drop, move, replace } from '../engine/change/code-change.js';
import { binary, condition, conditional, ifStatement, loop, operand, statement } from '../engine/change/selector.js';
import type { WorldPlan } from './world.js';
import { SMALLEST } from './configurations.js';
import type { Defect } from './defect.js';

const TWO_REQUESTS: WorldPlan = { ...SMALLEST, requests: 2 };
const TWO_VCPUS: WorldPlan = { ...SMALLEST, vcpuCount: 2 };
const DEVICE: WorldPlan = { ...TWO_REQUESTS, clients: ['thread'] };
const RESET: WorldPlan = { ...SMALLEST, clients: ['later'], acts: ['reset'] };
const DESTROYED: WorldPlan = { ...SMALLEST, clients: ['later'], acts: ['destroy-client'] };

const ENDINGS: readonly Defect[] = [
  {
    name: 'late-answer-accepted',
    sentence: 'An answer counts whatever its ticket.',
    module: 'hsm/slot-assignment',
    in: 'SlotAssignment.finish',
    edit: replace(binary('!==', 'loadRelaxed'), '$1 < 0'),
    plan: RESET,
  },
  {
    name: 'ticket-stays',
    sentence: 'The ticket stays valid after the request was finished: it can be finished twice.',
    module: 'hsm/slot-assignment',
    in: 'SlotAssignment.finish',
    edit: drop(statement('storeRelaxed')),
    plan: DESTROYED,
  },
  {
    name: 'not-withdrawn',
    sentence: 'A reset does not withdraw the tickets: an old answer completes a new request.',
    module: 'vm/vm-life-cycle',
    in: 'VmLifeCycle.#reset',
    edit: replace(condition('withdraw'), 'false'),
    plan: RESET,
  },
  {
    name: 'destroyed-unfinished',
    sentence: 'The requests of a destroyed client stay unfinished.',
    module: 'hsm/vm-clients',
    in: 'VmClients.destroy',
    edit: drop(statement('finishAllOf')),
    plan: { ...DESTROYED, clients: ['never'] },
  },
  {
    name: 'destroyed-client-found',
    sentence: 'The ranges of a destroyed client are still looked up.',
    module: 'hsm/address-map',
    in: 'AddressMap.removeClient',
    edit: drop(statement('#isChanged')),
    plan: { ...DESTROYED, requests: 2 },
  },
  {
    name: 'clearing-forever',
    sentence: 'After CLEAR, requests are still completed without a client.',
    module: 'hsm/vm-requests',
    in: 'VmRequests.clear',
    edit: drop(statement('#isClearing', 'false')),
    plan: { ...SMALLEST, acts: ['clear'] },
  },
  {
    name: 'clear-takes-all',
    sentence: 'CLEAR completes requests of other clients than the default one.',
    module: 'hsm/assignments',
    in: 'Assignments.finishAsIs',
    edit: replace(conditional('owner'), '$2'),
    plan: { ...TWO_VCPUS, clients: ['at-once', 'later'], acts: ['clear'] },
  },
  {
    name: 'time-limit-not-watched',
    sentence: 'The time of a client is not limited.',
    module: 'hsm/vm-requests',
    in: 'VmRequests.#dispatchSlot',
    edit: drop(statement('watch')),
    plan: { ...SMALLEST, clients: ['never'], hasTimeLimit: true },
  },
  {
    name: 'pause-does-not-wait',
    sentence: 'A pause does not wait until the vCPUs have stopped.',
    module: 'hypervisor/threaded-vm',
    in: 'ThreadedVm.pauseVm',
    edit: drop(statement('#until')),
    plan: { ...RESET, clients: ['never'] },
  },
  {
    name: 'reset-does-not-ring',
    sentence: 'A reset stamps the slots and does not wake the vCPUs that wait for them.',
    module: 'hypervisor/threaded-vm',
    in: 'ThreadedVm.resetVm',
    edit: drop(loop('ring')),
    plan: RESET,
  },
  {
    name: 'start-does-not-ring',
    sentence: 'A change of the VM’s state does not wake the vCPUs.',
    module: 'hypervisor/vm-shared-state',
    in: 'VmSharedState.setVmState',
    edit: drop(statement('#wakeAll')),
    plan: RESET,
  },
];

const DEVICES: readonly Defect[] = [
  {
    name: 'mailbox-bit-first',
    sentence: 'A device’s pending bit is set before the request is in its mailbox.',
    module: 'device-model/placement/device-mailbox',
    in: 'DeviceMailbox.post',
    edit: move(statement('or'), before(statement('ticket'))),
    plan: DEVICE,
  },
  {
    name: 'mailbox-rung-early',
    sentence: 'A device’s doorbell is rung before its bit is set.',
    module: 'device-model/placement/device-mailbox',
    in: 'DeviceMailbox.post',
    edit: move(statement('ring'), before(statement('or'))),
    plan: { ...SMALLEST, clients: ['thread'] },
  },
  {
    name: 'reset-over-a-finisher',
    sentence: 'A reset ignores that a thread is completing a request.',
    module: 'hsm/slot-assignment',
    in: 'SlotAssignment.withdraw',
    edit: drop(ifStatement('isAssigned')),
    plan: { ...SMALLEST, clients: ['thread'], acts: ['reset'] },
  },
  {
    name: 'ring-after-ticket',
    sentence: 'A device’s thread clears its ticket before it rings: if it ends in between, the vCPU sleeps on.',
    module: 'hsm/request-finisher',
    in: 'RequestFinisher.finish',
    edit: copy(statement('#giveBack'), before(statement('complete'))),
    plan: { ...SMALLEST, clients: ['thread'], threadsDie: true },
  },
  {
    name: 'dead-finisher-left',
    sentence: 'The request of a thread that ended with a ticket taken stays unfinished.',
    module: 'hsm/slot-assignment',
    in: 'SlotAssignment.finishForced',
    edit: drop(operand('&&', 'isRunning')),
    plan: { ...SMALLEST, clients: ['thread'], threadsDie: true },
  },
  {
    name: 'forced-without-ticket',
    sentence: 'The requests of a removed client are finished without taking their tickets.',
    module: 'hsm/slot-assignment',
    in: 'SlotAssignment.finishForced',
    edit: drop(statement('finishNow')),
    plan: { ...SMALLEST, clients: ['thread'], acts: ['destroy-client'] },
  },
  {
    name: 'finished-twice',
    sentence: 'The requests of a removed client are finished although its thread is completing one.',
    module: 'hsm/slot-assignment',
    in: 'SlotAssignment.finishForced',
    edit: replace(condition('isRunning'), 'false'),
    plan: { ...DEVICE, requests: 1, acts: ['destroy-client'] },
  },
];

export const ENDING_DEFECTS: readonly Defect[] = [...ENDINGS, ...DEVICES];
