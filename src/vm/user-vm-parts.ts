/**
 * UserVmParts: the argument of UserVm's constructor.
 *
 * Made by: `ServiceVm.createVm`. It creates the parts that one VM has on each side of the page
 * (hypervisor, HSM, trace) and passes on the settings of the VmPlan that UserVm itself needs.
 */

import type { FaultPlan } from '../fault-injection/fault-rule.js';
import type { IoClient } from '../hsm/io-client.js';
import type { HypervisorServiceModule } from '../hsm/service-module.js';
import type { VmRequests } from '../hsm/vm-requests.js';
import type { Hypercalls } from '../hypervisor/hypercalls.js';
import type { Hypervisor } from '../hypervisor/hypervisor.js';
import type { SharedBuffer } from '../io-request/shared-buffer.js';
import type { RequestStatistics } from '../trace/statistics.js';
import type { VmTrace } from '../trace/vm-trace.js';
import type { LateRequestStacks } from './late-request-stacks.js';
import type { LifeCycle, VmControls } from './life-cycle.js';

export interface UserVmParts {
  /** 1…65534. */
  readonly id: number;
  readonly name: string;
  readonly hypervisor: Hypervisor;
  readonly completionPolling: boolean;
  readonly interceptPci: boolean;
  /** The hypervisor's side of the VM. */
  readonly hypercalls: Hypercalls;
  /** The shared page. */
  readonly buffer: SharedBuffer;
  /** The HSM, which all VMs share, and its side of this VM. */
  readonly module: HypervisorServiceModule;
  readonly requests: VmRequests;
  /** Undefined: the VM counts nothing. */
  readonly statistics: RequestStatistics<IoClient> | undefined;
  readonly trace: VmTrace;
  /** How long the start waits for devices in threads of their own, in ms. */
  readonly startTimeoutMs: number;
  readonly faults: FaultPlan | undefined;
  /** Undefined: late requests are reported without stacks. */
  readonly lateStacks: LateRequestStacks | undefined;
  /** Whether UserVm adds upcall's own default client. False: ACRN userspace attaches one. */
  readonly hasDefaultClient: boolean;
  readonly createLifeCycle: (vm: VmControls) => LifeCycle;
  /** Called once, before `ended` resolves: ServiceVm then forgets the VM. */
  readonly onEnd: () => void;
}
