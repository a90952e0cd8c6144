/**
 * Cases of how a vCPU waits for its completion: parked until the hypercall, or polling its slot.
 *
 * Called by: suite.ts.
 *
 * In the lists of `exchange`, a request stands with the answer that it gets, or alone if the guest
 * does not use the answer.
 */

import { IoRequestState } from '../../../io-request/state.js';
import { check, delay, equal, until } from '../check.js';
import type { GuestProgram } from '../guest-program.js';
import { TestedVm } from '../tested-vm.js';
import { hex, REPORT_PORT, type CaseDefinition } from './case.js';

const { FREE, PENDING, PROCESSING } = IoRequestState;
const VALUE = 0x1234;
const READ: GuestProgram = {
  steps: [
    { op: 'in', port: 0x530, size: 2 },
    { op: 'out', port: REPORT_PORT, size: 2, value: { read: 0 } },
  ],
};
const REPORT = `out ${hex(REPORT_PORT)}/2 = ${hex(VALUE)}`;
/** Longer than any vCPU spins. */
const PARKED_MS = 60;
const PARKED_ROUNDS = 6;
/**
 * Limit for all of those rounds. A vCPU that the hypercall does not wake parks until its safety
 * net, a second later, in each.
 */
const MOST_WAKING_MS = 2_000;
const POLLING_ROUNDS = 200;

export const WAITING_CASES: readonly CaseDefinition[] = [
  {
    name: 'a parked vCPU goes on as soon as the hypercall says that its request is complete',
    run: (under) =>
      TestedVm.run(under, [{ ...READ, forever: true }], async (tested) => {
        tested.start();
        let wakingMs = 0;
        for (let round = 0; round < PARKED_ROUNDS; round++) {
          equal(await tested.request(), 'in 0x530/2', 'request');
          equal(tested.slot().completionPolling, false, 'the polling flag of a VM that does not poll');
          await delay(PARKED_MS);
          tested.finish(0, VALUE);
          const startMs = performance.now();
          await tested.exchange([[REPORT]]);
          wakingMs += performance.now() - startMs;
        }
        check(
          wakingMs < MOST_WAKING_MS,
          `${PARKED_ROUNDS} hypercalls took ${Math.round(wakingMs)} ms to wake the vCPU`,
        );
      }),
  },
  {
    name: 'a hypercall for a request that is not complete leaves it as it is',
    run: (under) =>
      TestedVm.run(under, [READ], async (tested) => {
        tested.start();
        await tested.request();
        equal(tested.vm.notifyRequestFinish(0), 0, 'notifyRequestFinish while PENDING');
        await tested.stays(PENDING, 'after a hypercall while PENDING');
        tested.assign();
        equal(tested.vm.notifyRequestFinish(0), 0, 'notifyRequestFinish while PROCESSING');
        await tested.stays(PROCESSING, 'after a hypercall while PROCESSING');
        tested.finish(0, VALUE);
        await tested.exchange([[REPORT]]);
        await tested.halted();
      }),
  },
  {
    name: 'a hypercall for a vCPU that the VM does not have is refused',
    run: (under) =>
      TestedVm.run(under, [READ], (tested) => {
        for (const vcpu of [-1, 1, 16]) check(tested.vm.notifyRequestFinish(vcpu) < 0, `vCPU ${vcpu} was accepted`);
        return Promise.resolve();
      }),
  },
  {
    name: 'a vCPU that polls says so in its slot and goes on without a hypercall',
    run: (under) =>
      TestedVm.run(
        under,
        [{ ...READ, forever: true }],
        async (tested) => {
          tested.start();
          for (let round = 0; round < POLLING_ROUNDS; round++) {
            equal(await tested.request(), 'in 0x530/2', 'request');
            equal(tested.slot().completionPolling, true, 'the polling flag of a VM that polls');
            if (round % 50 === 0) await delay(PARKED_MS);
            const notify = false;
            tested.finish(0, VALUE, notify);
            equal(await tested.request(), REPORT, 'request');
            tested.finish(0, 0, notify);
          }
        },
        { completionPolling: true },
      ),
  },
  {
    name: 'a slot is FREE again before its vCPU goes on',
    run: (under) =>
      TestedVm.run(under, [{ steps: [...READ.steps, { op: 'wait', line: 5 }] }], async (tested) => {
        tested.start();
        await tested.exchange([['in 0x530/2', VALUE], [REPORT]]);
        await until(() => tested.slot().state === FREE, 'FREE after COMPLETE', tested.limitMs);
        tested.raise(5);
        await tested.halted();
      }),
  },
];
