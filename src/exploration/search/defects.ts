/**
 * Defects that the explorer must find: one change each to the text of a shipped module, made only in the explored copy.
 * A text that is not there any more is an error. With each the world in which it shows, as small as it can be.
 */

import type { TextChange } from '../code/adaptations.js';
import type { WorldPlan } from '../world/world.js';
import { SMALLEST } from './configurations.js';

export interface Defect extends TextChange {
  readonly name: string;
  readonly sentence: string;
  readonly plan: WorldPlan;
}

const TWO_REQUESTS: WorldPlan = { ...SMALLEST, requests: 2 };
const TWO_VCPUS: WorldPlan = { ...SMALLEST, vcpuCount: 2 };
const DEVICE: WorldPlan = { ...TWO_REQUESTS, clients: ['thread'] };
const RESET: WorldPlan = { ...SMALLEST, clients: ['later'], acts: ['reset'] };
const DESTROYED: WorldPlan = { ...SMALLEST, clients: ['later'], acts: ['destroy-client'] };

const REQUEST_PATH: readonly Defect[] = [
  {
    name: 'no-ring',
    sentence: 'A completed request rings nobody.',
    module: 'hsm/request-finisher',
    from: 'if (!this.#complete(this.#slots[vcpu], type, direction, low, high)) this.#notify(vcpu);',
    to: 'this.#complete(this.#slots[vcpu], type, direction, low, high);',
    plan: SMALLEST,
  },
  {
    name: 'ring-before-complete',
    sentence: 'The vCPU is rung before its slot is COMPLETE.',
    module: 'hsm/request-finisher',
    from: 'if (!this.#complete(this.#slots[vcpu], type, direction, low, high)) this.#notify(vcpu);',
    to: 'this.#notify(vcpu); this.#complete(this.#slots[vcpu], type, direction, low, high);',
    plan: SMALLEST,
  },
  {
    name: 'value-after-complete',
    sentence: 'The value is written after the slot became COMPLETE.',
    module: 'hsm/request-finisher',
    from: '#complete(slot, type, direction, low, high) {',
    to: '#complete(slot, type, direction, low, high) { slot.complete();',
    plan: SMALLEST,
  },
  {
    name: 'polling-read-late',
    sentence: 'Whether the vCPU polls is read after the slot became COMPLETE.',
    module: 'hsm/request-finisher',
    from: 'const polling = slot.completionPolling; slot.complete(); return polling;',
    to: 'slot.complete(); return slot.completionPolling;',
    plan: { ...SMALLEST, isPolling: true },
  },
  {
    name: 'upcall-before-pending',
    sentence: 'The upcall is raised before the slot is PENDING.',
    module: 'hypervisor/io-handler',
    from: 'this.#fault(); this.#shared.count(this.#vcpu, VcpuCounter.requests); this.#upcall.raise();',
    to: 'this.#fault(); this.#shared.count(this.#vcpu, VcpuCounter.requests);',
    plan: SMALLEST,
  },
  {
    name: 'move-without-comparing',
    sentence: 'A slot’s state is stored, whatever it was.',
    module: 'io-request/slot',
    from: 'return Atomics.compareExchange(this.#words, this.#state, from, to) === from;',
    to: 'Atomics.store(this.#words, this.#state, to); return true;',
    plan: RESET,
  },
  {
    name: 'wrong-vcpu',
    sentence: 'Every answer goes to slot 0.',
    module: 'hsm/assignments',
    from: 'const { vcpu, type, direction } = request;',
    to: 'const { type, direction } = request; const vcpu = 0;',
    plan: TWO_VCPUS,
  },
  {
    name: 'one-slot-a-pass',
    sentence: 'A pass ends with the first slot that it served: the others starve while the first vCPU asks.',
    module: 'hsm/vm-requests',
    from: 'if (this.#dispatchSlot(slot)) continue;',
    to: 'if (this.#dispatchSlot(slot)) return 0;',
    plan: { ...TWO_VCPUS, requests: 3 },
  },
];

const DOORBELL = 'const seen = Atomics.load(this.#words, this.#rings); found = hasWork();';
const LEFT = 'const left = end - (end === Infinity ? 0 : performance.now()); if (found || left <= 0) break;';
const STORE = 'Atomics.store(this.#words, this.#asleep, 1);';
const BLOCK = `${LEFT} Atomics.wait(this.#words, this.#rings, seen, left);`;
const AWAIT = `${LEFT} const sleep = Atomics.waitAsync(this.#words, this.#rings, seen, left);`;

const SLEEPING: readonly Defect[] = [
  {
    name: 'asleep-after-last-look',
    sentence: 'A vCPU says that it sleeps after its last look.',
    module: 'io-request/doorbell',
    from: `${STORE} ${DOORBELL} ${BLOCK}`,
    to: `${DOORBELL} ${STORE} ${BLOCK}`,
    plan: SMALLEST,
  },
  {
    name: 'worker-asleep-after-last-look',
    sentence: 'The worker says that it sleeps after its last look: an upcall in between is lost.',
    module: 'io-request/doorbell',
    from: `${STORE} ${DOORBELL} ${AWAIT}`,
    to: `${DOORBELL} ${STORE} ${AWAIT}`,
    plan: TWO_REQUESTS,
  },
  {
    name: 'no-last-look',
    sentence: 'A vCPU sleeps without a last look.',
    module: 'io-request/doorbell',
    from: `${DOORBELL} ${BLOCK}`,
    to: `const seen = Atomics.load(this.#words, this.#rings); ${BLOCK} found = hasWork();`,
    plan: SMALLEST,
  },
  {
    name: 'rings-read-late',
    sentence: 'The worker reads the count of rings after its last look.',
    module: 'io-request/doorbell',
    from: `${DOORBELL} ${AWAIT}`,
    to: `found = hasWork(); const seen = Atomics.load(this.#words, this.#rings); ${AWAIT}`,
    plan: TWO_REQUESTS,
  },
  {
    name: 'ring-without-count',
    sentence: 'A ring wakes who sleeps already, and does not count: who is about to sleep misses it.',
    module: 'io-request/doorbell',
    from: 'Atomics.add(this.#words, this.#rings, 1);',
    to: '',
    plan: SMALLEST,
  },
  {
    name: 'ring-without-wake',
    sentence: 'A ring counts, and wakes nobody.',
    module: 'io-request/doorbell',
    from: 'Atomics.notify(this.#words, this.#rings);',
    to: '',
    plan: SMALLEST,
  },
  {
    name: 'woken-once',
    sentence: 'A vCPU that was woken for something else does not sleep again until its answer is there.',
    module: 'hypervisor/io-handler',
    from: 'while (!this.#doorbell.sleep(this.#hasAnswer, RECHECK_MS, this.#look))',
    to: 'if (this.#doorbell.sleep(() => this.#hasAnswer() || this.#shared.lines.changed, RECHECK_MS))',
    plan: { ...SMALLEST, interrupts: 1 },
  },
  {
    name: 'interrupt-rung-early',
    sentence: 'The vCPU is rung before the interrupt is noted.',
    module: 'hypervisor/interrupt-lines',
    from: 'this.#words.or(INTERRUPT_LINES + (line >>> 5), 1 << (line & 31)); this.#vcpu.ring();',
    to: 'this.#vcpu.ring(); this.#words.or(INTERRUPT_LINES + (line >>> 5), 1 << (line & 31));',
    plan: { ...SMALLEST, interrupts: 1 },
  },
  {
    name: 'resume-without-raise',
    sentence: 'The worker that goes on after a pause is not told.',
    module: 'hsm/dispatch-worker',
    from: 'this.#isQueued = true; this.#options.upcall.raise();',
    to: 'this.#isQueued = true;',
    plan: { ...SMALLEST, acts: ['pause-worker'] },
  },
  {
    name: 'first-vm-only',
    sentence: 'The worker’s last look before it sleeps is at the newest VM only.',
    module: 'hsm/dispatch-worker',
    from: 'if (vm.hasPending()) return true;',
    to: 'return vm.hasPending();',
    plan: { ...SMALLEST, vmCount: 2 },
  },
];

const ENDINGS: readonly Defect[] = [
  {
    name: 'late-answer-believed',
    sentence: 'An answer counts whatever ticket it has.',
    module: 'hsm/request-finisher',
    from: 'this.#tickets.glimpse(vcpu) !== ticket',
    to: 'this.#tickets.glimpse(vcpu) < 0',
    plan: RESET,
  },
  {
    name: 'ticket-stays',
    sentence: 'The ticket stands after the request was finished: it can be finished twice.',
    module: 'hsm/request-finisher',
    from: 'this.#tickets.put(vcpu, 0);',
    to: '',
    plan: DESTROYED,
  },
  {
    name: 'not-withdrawn',
    sentence: 'A reset does not withdraw the tickets: an answer of before it goes to a slot of after it.',
    module: 'vm-life-cycle',
    from: 'while (!requests.withdraw()) {',
    to: 'while (requests === undefined) {',
    plan: RESET,
  },
  {
    name: 'destroyed-unfinished',
    sentence: 'A client that is destroyed leaves its requests unfinished.',
    module: 'hsm/vm-requests',
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

export const DEFECTS: readonly Defect[] = [...REQUEST_PATH, ...SLEEPING, ...ENDINGS, ...DEVICES];
