/** The suite of all hypervisors with KVM. Without KVM it is skipped, and the reason is printed. */

import { test } from 'node:test';
import { runHypervisorSuite, x86Guests } from '../../conformance/hypervisor-suite/index.js';
import { KvmHypervisor } from './kvm-hypervisor.js';

runHypervisorSuite(
  {
    name: 'kvm',
    create: () => new KvmHypervisor(),
    mayBeAbsent: true,
    ...x86Guests,
    skip: {
      'an access that leaves a range of the hypervisor is a #GP for the guest':
        'KVM splits an access at the end of a page, where all ranges of the hypervisor end',
    },
  },
  test,
);
