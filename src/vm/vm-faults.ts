/**
 * injectFaults: the fault injection of a VM that was created with a fault plan.
 *
 * Called by: UserVm.
 */

import type { Clock } from '../device-model/clock.js';
import { FaultInjection } from '../fault-injection/fault-injection.js';
import type { FaultPlan } from '../fault-injection/fault-rule.js';
import type { IoClient } from '../hsm/io-client.js';
import type { VmRequests } from '../hsm/vm-requests.js';
import type { UserVmEvent } from './user-vm-events.js';

/** The part of a VM that its fault injection needs. */
export interface FaultyVm {
  readonly clock: Clock;
  readonly requests: VmRequests;
  emit(event: UserVmEvent): void;
  destroyClient(client: IoClient): void;
}

/** `wrapped`: the client that the HSM has for one of the operator's. */
export function injectFaults(plan: FaultPlan, vm: FaultyVm, wrapped: (client: IoClient) => IoClient): FaultInjection {
  return new FaultInjection(plan, {
    clock: vm.clock,
    emit: (fault) => vm.emit({ kind: 'fault-injected', ...fault }),
    remove: (client) => vm.destroyClient(client),
    fail: (client, error) => vm.requests.clients.fail(wrapped(client), error),
  });
}
