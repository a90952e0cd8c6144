/** UserVmParts: what a UserVm is built from. ServiceVm creates them, from a VmPlan. */

import type { FaultPlan } from '../fault-injection/fault-rule.js';
import type { IoClient } from '../hsm/io-client.js';
import type { HypervisorServiceModule } from '../hsm/service-module.js';
import type { VmRequests } from '../hsm/vm-requests.js';
import type { Hypercalls } from '../hypervisor/hypercalls.js';
import type { SharedBuffer } from '../io-request/shared-buffer.js';
import type { RequestStatistics } from '../trace/statistics.js';
import type { VmTrace } from '../trace/vm-trace.js';
import type { LateStacks } from './late-stacks.js';
import type { LifeCycle, LifeCycleParts } from './life-cycle.js';

export interface UserVmParts {
  readonly id: number;
  readonly name: string;
  readonly hypervisorName: string;
  readonly hypercalls: Hypercalls;
  readonly buffer: SharedBuffer;
  readonly module: HypervisorServiceModule;
  readonly requests: VmRequests;
  readonly statistics: RequestStatistics<IoClient> | undefined;
  readonly trace: VmTrace;
  readonly startTimeoutMs: number;
  readonly faults: FaultPlan | undefined;
  readonly lateStacks: LateStacks | undefined;
  /** False: ACRN userspace attaches its own. */
  readonly hasDefaultClient: boolean;
  readonly createLifeCycle: (parts: LifeCycleParts) => LifeCycle;
  /** Called once, before `ended` resolves. */
  readonly onEnd: () => void;
}
