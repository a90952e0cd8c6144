/** Seeded defects of what ends a request otherwise (resets, CLEAR, clients that end) and of devices in threads of their own. */

import type { WorldPlan } from '../world/world.js';
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
    from: 'this.#tickets.loadRelaxed(vcpu) !== ticket',
    to: 'this.#tickets.loadRelaxed(vcpu) < 0',
    plan: RESET,
  },
  {
    name: 'ticket-stays',
    sentence: 'The ticket stands after the request was finished: it can be finished twice.',
    module: 'hsm/request-finisher',
    from: 'this.#tickets.storeRelaxed(vcpu, 0);',
    to: '',
    plan: DESTROYED,
  },
  {
    name: 'not-withdrawn',
    sentence: 'A reset does not withdraw the tickets: an answer of before it goes to a slot of after it.',
    module: 'vm/vm-life-cycle',
    from: 'while (!requests.withdraw()) {',
    to: 'while (requests === undefined) {',
    plan: RESET,
  },
  {
    name: 'destroyed-unfinished',
    sentence: 'A client that is destroyed leaves its requests unfinished.',
    module: 'hsm/vm-clients',
    from: 'finally { this.finishAllOf(client); }',
    to: 'finally { }',
    plan: { ...DESTROYED, clients: ['never'] },
  },
  {
    name: 'destroyed-client-asked',
    sentence: 'The ranges of a client that was destroyed are still looked up with it.',
    module: 'hsm/address-map',
    from: '(sum, { ranges }) => sum + ranges.length, 0); this.#isChanged = true;',
    to: '(sum, { ranges }) => sum + ranges.length, 0);',
    plan: { ...DESTROYED, requests: 2 },
  },
  {
    name: 'clearing-for-ever',
    sentence: 'After CLEAR, requests are still completed by nobody.',
    module: 'hsm/vm-requests',
    from: 'this.#assignments.completeAsIs(client, vcpu); this.#isClearing = false;',
    to: 'this.#assignments.completeAsIs(client, vcpu);',
    plan: { ...SMALLEST, acts: ['clear'] },
  },
  {
    name: 'clear-takes-all',
    sentence: 'CLEAR completes what other clients than the default one have.',
    module: 'hsm/assignments',
    from: 'if (this.#owners[vcpu] !== client || ticket <= 0',
    to: 'if (ticket <= 0',
    plan: { ...TWO_VCPUS, clients: ['at-once', 'later'], acts: ['clear'] },
  },
  {
    name: 'time-not-watched',
    sentence: 'Nobody watches how long a client takes.',
    module: 'hsm/vm-requests',
    from: 'this.#timeLimit.watch(vcpu, ticket);',
    to: 'void ticket;',
    plan: { ...SMALLEST, clients: ['never'], hasTimeLimit: true },
  },
  {
    name: 'pause-does-not-wait',
    sentence: 'A pause does not wait until the vCPUs stand still.',
    module: 'hypervisor/threaded-vm',
    from: 'await this.#until((vcpu) => this.#isParked(vcpu) || this.#isWaiting(vcpu));',
    to: '',
    plan: { ...RESET, clients: ['never'] },
  },
  {
    name: 'reset-does-not-ring',
    sentence: 'A reset stamps the slots and does not wake who waits for them.',
    module: 'hypervisor/threaded-vm',
    from: 'for (let vcpu = 0; vcpu < this.vcpuCount; vcpu++) this.shared.doorbell(vcpu).ring();',
    to: '',
    plan: RESET,
  },
  {
    name: 'start-does-not-ring',
    sentence: 'Who changes the VM’s state does not ring the vCPUs.',
    module: 'hypervisor/vm-shared-state',
    from: 'for (const doorbell of this.#doorbells) doorbell.ring();',
    to: '',
    plan: RESET,
  },
];

const DEVICES: readonly Defect[] = [
  {
    name: 'mailbox-bit-first',
    sentence: 'A device is told of a request before that stands in its mailbox.',
    module: 'device-model/placement/device-mailbox',
    from: 'this.#words.store(at, request.ticket); this.#words.or(PENDING, 1 << request.vcpu);',
    to: 'this.#words.or(PENDING, 1 << request.vcpu); this.#words.store(at, request.ticket);',
    plan: DEVICE,
  },
  {
    name: 'mailbox-rung-early',
    sentence: 'A device’s doorbell is rung before its bit is set.',
    module: 'device-model/placement/device-mailbox',
    from: 'this.#words.or(PENDING, 1 << request.vcpu); this.#doorbell.ring();',
    to: 'this.#doorbell.ring(); this.#words.or(PENDING, 1 << request.vcpu);',
    plan: { ...SMALLEST, clients: ['thread'] },
  },
  {
    name: 'reset-over-a-finisher',
    sentence: 'A reset does not mind that a thread is completing a request.',
    module: 'hsm/assignments',
    from: 'if (this.tickets.load(vcpu) !== 0) isDone = false; else',
    to: '',
    plan: { ...SMALLEST, clients: ['thread'], acts: ['reset'] },
  },
  {
    name: 'ring-after-ticket',
    sentence: 'A device’s thread gives its ticket back before it rings: if it ends in between, nobody knows.',
    module: 'hsm/request-finisher',
    from: 'if (!polling) this.#notify(vcpu);',
    to: 'this.#tickets.move(vcpu, -ticket, 0); if (!polling) this.#notify(vcpu);',
    plan: { ...SMALLEST, clients: ['thread'], threadsDie: true },
  },
  {
    name: 'finisher-not-buried',
    sentence: 'The end of a thread that had taken a ticket leaves its request unfinished.',
    module: 'hsm/assignments',
    from: 'if (taken < 0 && client.isRunning === true)',
    to: 'if (taken < 0)',
    plan: { ...SMALLEST, clients: ['thread'], threadsDie: true },
  },
  {
    name: 'finished-by-two',
    sentence: 'Who is taken out has its requests finished although its thread is completing one.',
    module: 'hsm/assignments',
    from: 'if (taken < 0 && client.isRunning === true)',
    to: 'if (taken < 0 && client.isRunning === false && vcpu < 0)',
    plan: { ...DEVICE, requests: 1, acts: ['destroy-client'] },
  },
];

export const ENDING_DEFECTS: readonly Defect[] = [...ENDINGS, ...DEVICES];
