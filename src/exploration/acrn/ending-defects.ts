/**
 * Seeded defects of what ends a request otherwise (resets, CLEAR, clients that end) and of devices
 * in threads of their own.
 */

import { before, copy, drop, move, replace } from '../engine/change/code-change.js';
import { binary, condition, ifStatement, loop, nth, operand, statement } from '../engine/change/selector.js';
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
    name: 'late-answer-believed',
    sentence: 'An answer counts whatever ticket it has.',
    module: 'hsm/request-finisher',
    in: 'RequestFinisher.finishHere',
    edit: replace(binary('!=='), '$1 < 0'),
    plan: RESET,
  },
  {
    name: 'ticket-stays',
    sentence: 'The ticket stands after the request was finished: it can be finished twice.',
    module: 'hsm/request-finisher',
    in: 'RequestFinisher.finishHere',
    edit: drop(statement('storeRelaxed')),
    plan: DESTROYED,
  },
  {
    name: 'not-withdrawn',
    sentence: 'A reset does not withdraw the tickets: an answer of before it goes to a slot of after it.',
    module: 'vm/vm-life-cycle',
    in: 'VmLifeCycle.#reset',
    edit: replace(condition('withdraw'), 'false'),
    plan: RESET,
  },
  {
    name: 'destroyed-unfinished',
    sentence: 'A client that is destroyed leaves its requests unfinished.',
    module: 'hsm/vm-clients',
    in: 'VmClients.destroy',
    edit: drop(statement('finishAllOf')),
    plan: { ...DESTROYED, clients: ['never'] },
  },
  {
    name: 'destroyed-client-asked',
    sentence: 'The ranges of a client that was destroyed are still looked up with it.',
    module: 'hsm/address-map',
    in: 'AddressMap.removeClient',
    edit: drop(statement('#isChanged')),
    plan: { ...DESTROYED, requests: 2 },
  },
  {
    name: 'clearing-for-ever',
    sentence: 'After CLEAR, requests are still completed by nobody.',
    module: 'hsm/vm-requests',
    in: 'VmRequests.clear',
    edit: drop(statement('#isClearing', 'false')),
    plan: { ...SMALLEST, acts: ['clear'] },
  },
  {
    name: 'clear-takes-all',
    sentence: 'CLEAR completes what other clients than the default one have.',
    module: 'hsm/assignments',
    in: 'Assignments.completeAsIs',
    edit: drop(operand('||', '#owners')),
    plan: { ...TWO_VCPUS, clients: ['at-once', 'later'], acts: ['clear'] },
  },
  {
    name: 'time-not-watched',
    sentence: 'Nobody watches how long a client takes.',
    module: 'hsm/vm-requests',
    in: 'VmRequests.#dispatchSlot',
    edit: drop(statement('watch')),
    plan: { ...SMALLEST, clients: ['never'], hasTimeLimit: true },
  },
  {
    name: 'pause-does-not-wait',
    sentence: 'A pause does not wait until the vCPUs stand still.',
    module: 'hypervisor/threaded-vm',
    in: 'ThreadedVm.pauseVm',
    edit: drop(statement('#until')),
    plan: { ...RESET, clients: ['never'] },
  },
  {
    name: 'reset-does-not-ring',
    sentence: 'A reset stamps the slots and does not wake who waits for them.',
    module: 'hypervisor/threaded-vm',
    in: 'ThreadedVm.resetVm',
    edit: drop(loop('ring')),
    plan: RESET,
  },
  {
    name: 'start-does-not-ring',
    sentence: 'Who changes the VM’s state does not ring the vCPUs.',
    module: 'hypervisor/vm-shared-state',
    in: 'VmSharedState.setVmState',
    edit: drop(loop('ring')),
    plan: RESET,
  },
];

const DEVICES: readonly Defect[] = [
  {
    name: 'mailbox-bit-first',
    sentence: 'A device is told of a request before that stands in its mailbox.',
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
    sentence: 'A reset does not mind that a thread is completing a request.',
    module: 'hsm/assignments',
    in: 'Assignments.withdraw',
    edit: replace(ifStatement('!=='), '$3'),
    plan: { ...SMALLEST, clients: ['thread'], acts: ['reset'] },
  },
  {
    name: 'ring-after-ticket',
    sentence: 'A device’s thread gives its ticket back before it rings: if it ends in between, nobody knows.',
    module: 'hsm/request-finisher',
    in: 'RequestFinisher.finish',
    edit: copy(nth(statement('move', '0'), 2, 2), before(ifStatement('polling'))),
    plan: { ...SMALLEST, clients: ['thread'], threadsDie: true },
  },
  {
    name: 'finisher-not-buried',
    sentence: 'The end of a thread that had taken a ticket leaves its request unfinished.',
    module: 'hsm/assignments',
    in: 'Assignments.finishAllOf',
    edit: drop(operand('&&', 'isRunning')),
    plan: { ...SMALLEST, clients: ['thread'], threadsDie: true },
  },
  {
    name: 'finished-by-two',
    sentence: 'Who is taken out has its requests finished although its thread is completing one.',
    module: 'hsm/assignments',
    in: 'Assignments.finishAllOf',
    edit: replace(condition('isRunning'), 'false'),
    plan: { ...DEVICE, requests: 1, acts: ['destroy-client'] },
  },
];

export const ENDING_DEFECTS: readonly Defect[] = [...ENDINGS, ...DEVICES];
