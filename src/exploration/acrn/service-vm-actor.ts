/**
 * The thread of the Service VM: the shipped service module, worker and hypercalls, the clients of
 * the plan, and an operator whose acts may come at any turn of the event loop.
 *
 * Called by: the explorer, as the main function of a thread (model.ts).
 */

import { ports } from '../../hsm/address-range.js';
import type { HsmObserver } from '../../hsm/hsm-observer.js';
import { HypervisorServiceModule } from '../../hsm/service-module.js';
import { VmRequests } from '../../hsm/vm-requests.js';
import { ThreadedVm } from '../../hypervisor/threaded-vm.js';
import { Upcall } from '../../hypervisor/upcall.js';
import { VmSharedState, VmState } from '../../hypervisor/vm-shared-state.js';
import { SharedBuffer } from '../../io-request/shared-buffer.js';
import type { VmControls } from '../../vm/life-cycle.js';
import { VmLifeCycle } from '../../vm/vm-life-cycle.js';
import { ExploredClient } from './explored-client.js';
import { offer, threadEnd } from '../engine/probe.js';
import { actorNote } from './actor-notes.js';
import {
  DEFAULT_CLIENT,
  exitOf,
  firstPortOf,
  PORTS_OF_CLIENT,
  type OperatorAct,
  type VmHandles,
  type World,
} from './world.js';

/**
 * The constructor of ThreadedVm, which is private in TypeScript. `ThreadedVm.create` would start
 * threads, which the explorer does here.
 */
type MakeThreadedVm = new (
  options: object,
  shared: VmSharedState,
  threads: readonly object[],
  memory: object,
) => ThreadedVm;

interface Vm {
  readonly number: number;
  readonly lifeCycle: VmLifeCycle;
  readonly requests: VmRequests;
  readonly clients: readonly ExploredClient[];
}

export function serviceVmActor(world: World): void {
  const { plan } = world;
  const upcall = new Upcall(world.upcall);
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const module = new HypervisorServiceModule({ upcall, turn, spinUs: 0 });
  const vms: Vm[] = [];
  for (let vm = 0; vm < plan.vmCount; vm++) vms.push(makeVm(world, vm, upcall, module));
  module.worker.start();
  const [first] = vms;
  if (first !== undefined)
    for (const act of plan.acts)
      offer(act, async () => {
        await perform(act, first, module, plan.clients.length);
        actorNote('done', plan.acts.indexOf(act));
      });
  actorNote('ready');
}

function makeVm(world: World, number: number, upcall: Upcall, module: HypervisorServiceModule): Vm {
  const { plan } = world;
  const handles = world.vms[number] as VmHandles;
  const buffer = new SharedBuffer(handles.page);
  const shared = new VmSharedState(handles.shared);
  const config = { name: `VM ${number}`, vcpuCount: plan.vcpuCount, completionPolling: plan.isPolling };
  const threads = Array.from({ length: plan.vcpuCount }, () => ({
    ended: Promise.resolve(),
    registers: { close: () => undefined },
  }));
  const hypercalls = new (ThreadedVm as unknown as MakeThreadedVm)({ config, buffer, upcall }, shared, threads, {});
  shared.setVmState(VmState.CREATED);
  hypercalls.setIoreqBuffer();
  const observer: HsmObserver = { event: () => undefined };
  const requests = new VmRequests({
    vmId: number,
    buffer,
    hypercalls,
    observer,
    // To the explorer a time limit of 0 is one that may be over at any moment.
    clientTimeoutMs: plan.hasTimeLimit ? 0 : Infinity,
  });
  // Side work runs at the beginning of each pass over the VM, so it can note the pass.
  requests.work.add({ hasWork: false, run: () => actorNote('pass', number) });
  requests.clients.addDefault(new ExploredClient(handles, number, DEFAULT_CLIENT, 'at-once'));
  const clients: ExploredClient[] = [];
  for (let client = 0; client < plan.clients.length; client++) {
    const explored = new ExploredClient(handles, number, client, plan.clients[client] ?? 'at-once');
    clients.push(explored);
    requests.clients.add(explored, [ports(firstPortOf(number, client), PORTS_OF_CLIENT)]);
    if (explored.isRunning) void cleanUpAfter(exitOf(plan, number, client), explored, requests, module);
  }
  module.addVm(requests);
  hypercalls.startVm();
  const controls: VmControls = {
    name: config.name,
    hypercalls,
    module,
    requests,
    emit: () => undefined,
    devicesReady: () => Promise.resolve(),
    resetDevices: () => actorNote('reset', number),
    restoreDevices: () => undefined,
    closeDevices: () => undefined,
    onPausing: () => undefined,
    onStarting: () => undefined,
    sendPowerOff: () => undefined,
    onEnd: () => undefined,
  };
  const lifeCycle = new VmLifeCycle(controls, undefined);
  return { number, lifeCycle, requests, clients };
}

/** Does what UserVm does when a device's thread has ended. `exit`: see ThreadPlan.exit. */
async function cleanUpAfter(
  exit: number,
  client: ExploredClient,
  requests: VmRequests,
  module: HypervisorServiceModule,
): Promise<void> {
  await threadEnd(exit);
  client.isRunning = false;
  if (requests.clients.all.includes(client)) module.destroyClient(requests, client);
  else requests.clients.finishAllOf(client);
}

/** Each act is described at OperatorAct. */
async function perform(act: OperatorAct, vm: Vm, module: HypervisorServiceModule, clientCount: number): Promise<void> {
  const { number, lifeCycle, requests } = vm;
  const oldest = vm.clients[0] as ExploredClient;
  const newest = vm.clients[clientCount - 1] as ExploredClient;
  switch (act) {
    case 'destroy-client':
      module.destroyClient(requests, oldest);
      break;
    case 'move-range': {
      const range = ports(firstPortOf(number, clientCount - 1), PORTS_OF_CLIENT);
      requests.clients.removeRange(newest, range);
      const isOwned = requests.clients.addRange(oldest, range);
      actorNote('owns', number, clientCount - 1, isOwned ? 0 : DEFAULT_CLIENT);
      break;
    }
    case 'clear':
      actorNote('clearing', number, 1);
      await requests.clear();
      actorNote('clearing', number, 0);
      break;
    case 'pause-worker':
      module.worker.pause();
      await new Promise((resolve) => setImmediate(resolve));
      module.worker.resume();
      break;
    case 'reset':
      // A withdrawn request keeps its value, as with CLEAR.
      actorNote('clearing', number, 1);
      await lifeCycle.reset();
      actorNote('clearing', number, 0);
      break;
    case 'destroy-vm':
      actorNote('destroying', number);
      await lifeCycle.end({ reason: 'destroyed', message: '' });
  }
}
