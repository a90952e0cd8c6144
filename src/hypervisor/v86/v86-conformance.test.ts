/** The suite of all hypervisors with the v86 core. */

import { test } from 'node:test';
import { runHypervisorSuite, x86Guests } from '../../conformance/hypervisor-suite/index.js';
import { V86Hypervisor } from './v86-hypervisor.js';

runHypervisorSuite(
  {
    name: 'v86',
    create: () => new V86Hypervisor(),
    maxVcpus: 1,
    load: x86Guests.load,
    cannot: (step) =>
      step.op === 'load' && step.size === 8
        ? 'the core splits a load of 8 bytes into two of 4'
        : x86Guests.cannot(step),
    skip: {
      'an access that leaves a range of the hypervisor is a #GP for the guest':
        'the core splits an access at the end of a page, where all ranges of the hypervisor end',
    },
  },
  test,
);
