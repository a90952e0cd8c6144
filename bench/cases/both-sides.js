// @ts-check
/**
 * The code of a request without thread switches: the real I/O handler of a vCPU, whose upcall runs
 * the HSM synchronously. And the vCPU's part alone, with three state changes in place of the HSM.
 */

import { product } from '../product.js';
import { ANSWER, PORT } from '../loop-program.js';

export const title = 'Both sides of a request, in turn in one thread';

const FILE = 'cases/both-sides.js';
/** @type {import('../rows.js').Row[]} */
export const rows = [
  { name: 'both sides in turn', unit: 'ns', process: { file: FILE, args: ['both'] } },
  { name: 'the vCPU’s side alone', unit: 'ns', process: { file: FILE, args: ['vcpu'] } },
];

const BATCH = 1024;
const WARM_UP_MS = 300;
const MEASURE_MS = 500;

/** @param {string} which `both` or `vcpu` */
export async function measure(which) {
  const { IoHandler } = await product('hypervisor/io-handler.js');
  const { PortHandlerTable } = await product('hypervisor/port-handlers.js');
  const { MmioHandlerTable } = await product('hypervisor/mmio-handlers.js');
  const { Upcall } = await product('hypervisor/upcall.js');
  const { VmSharedState, VmState } = await product('hypervisor/vm-shared-state.js');
  const { VmRequests } = await product('hsm/vm-requests.js');
  const { DeviceClient } = await product('device-model/device-client.js');
  const { SharedBuffer, ports } = await product('index.js');
  const { answeringDevice } = await import('../machine.js');

  const fail = (/** @type {unknown} */ what) => {
    throw new Error(JSON.stringify(what));
  };
  const buffer = new SharedBuffer();
  const shared = new VmSharedState();
  shared.setVmState(VmState.RUNNING);
  buffer.stampFree();
  const doorbell = shared.doorbell(0);
  const requests = new VmRequests({
    vmId: 1,
    buffer,
    hypercalls: { vcpuCount: 1, shared, notifyRequestFinish: () => (doorbell.ring(), 0) },
    observer: { event: fail },
    clientTimeoutMs: Infinity,
  });
  const range = ports(PORT, 8);
  requests.clients.add(new DeviceClient(answeringDevice, range, (_, error) => fail(String(error))), [range]);
  const served = buffer.slot(0);
  class HsmAtOnce extends Upcall {
    /** @override */
    raise() {
      requests.dispatch();
      return false;
    }
  }
  class MovesAtOnce extends Upcall {
    /** @override */
    raise() {
      served.assign(false);
      served.setValue(ANSWER);
      served.complete();
      return false;
    }
  }
  const handler = new IoHandler({
    vcpu: 0,
    slot: new SharedBuffer(buffer.page).slot(0),
    upcall: which === 'both' ? new HsmAtOnce() : new MovesAtOnce(),
    shared,
    handlers: { ports: new PortHandlerTable(), mmio: new MmioHandlerTable() },
    completionPolling: false,
  });
  const batch = () => {
    for (let i = 0; i < BATCH; i++)
      if (handler.portRead(PORT, 1) !== ANSWER) fail('the access did not reach the device');
  };
  const warm = performance.now() + WARM_UP_MS;
  while (performance.now() < warm) batch();
  let count = 0;
  let quickestMs = Infinity;
  const start = performance.now();
  let now = start;
  while (now - start < MEASURE_MS) {
    const before = now;
    batch();
    now = performance.now();
    quickestMs = Math.min(quickestMs, now - before);
    count += BATCH;
  }
  return { value: ((now - start) * 1e6) / count, quickest: (quickestMs * 1e6) / BATCH };
}
