/** Seeded defects of the way of a request: fill, dispatch, finish, and of sleeping and waking. */

import type { WorldPlan } from '../world/world.js';
import { SMALLEST } from './configurations.js';
import type { Defect } from './defect.js';

const TWO_REQUESTS: WorldPlan = { ...SMALLEST, requests: 2 };
const TWO_VCPUS: WorldPlan = { ...SMALLEST, vcpuCount: 2 };
const RESET: WorldPlan = { ...SMALLEST, clients: ['later'], acts: ['reset'] };

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
    plan: { ...TWO_VCPUS, requests: 3, isPolling: true },
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
    module: 'sync/doorbell',
    from: `${STORE} ${DOORBELL} ${BLOCK}`,
    to: `${DOORBELL} ${STORE} ${BLOCK}`,
    plan: SMALLEST,
  },
  {
    name: 'worker-asleep-after-last-look',
    sentence: 'The worker says that it sleeps after its last look: an upcall in between is lost.',
    module: 'sync/doorbell',
    from: `${STORE} ${DOORBELL} ${AWAIT}`,
    to: `${DOORBELL} ${STORE} ${AWAIT}`,
    plan: TWO_REQUESTS,
  },
  {
    name: 'no-last-look',
    sentence: 'A vCPU sleeps without a last look.',
    module: 'sync/doorbell',
    from: `${DOORBELL} ${BLOCK}`,
    to: `const seen = Atomics.load(this.#words, this.#rings); ${BLOCK} found = hasWork();`,
    plan: SMALLEST,
  },
  {
    name: 'rings-read-late',
    sentence: 'The worker reads the count of rings after its last look.',
    module: 'sync/doorbell',
    from: `${DOORBELL} ${AWAIT}`,
    to: `found = hasWork(); const seen = Atomics.load(this.#words, this.#rings); ${AWAIT}`,
    plan: TWO_REQUESTS,
  },
  {
    name: 'ring-without-count',
    sentence: 'A ring wakes who sleeps already, and does not count: who is about to sleep misses it.',
    module: 'sync/doorbell',
    from: 'Atomics.add(this.#words, this.#rings, 1);',
    to: '',
    plan: SMALLEST,
  },
  {
    name: 'ring-without-wake',
    sentence: 'A ring counts, and wakes nobody.',
    module: 'sync/doorbell',
    from: 'Atomics.notify(this.#words, this.#rings);',
    to: '',
    plan: SMALLEST,
  },
  {
    name: 'withdrawn-looks-on',
    sentence: 'A vCPU whose request was withdrawn looks for its answer for ever.',
    module: 'hypervisor/io-handler',
    from: 'if (this.#isLost()) return this.#takeBack();',
    to: '',
    plan: RESET,
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

export const REQUEST_DEFECTS: readonly Defect[] = [...REQUEST_PATH, ...SLEEPING];
