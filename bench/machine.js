// @ts-check
/**
 * A User VM for the cases with several threads: the product's ThreadedVm, page, upcall and service
 * module, whose worker runs in this thread, and one client at the port that the vCPUs read
 * (loop-program.js). It is not built by ServiceVm, so that each side's spin time can be chosen.
 */

import { product } from './product.js';
import { ANSWER, PORT } from './loop-program.js';

const MEMORY_BYTES = 2 ** 20;

/** The trivial device: a register with a constant value. */
export const answeringDevice = { name: 'answering device', read: () => ANSWER, write: () => undefined };

/**
 * @typedef {object} MachineOptions
 * @property {number} vcpus
 * @property {import('./loop-program.js').Loop | import('./burst-program.js').Bursts} loop
 * @property {number} [spinUs] how long the worker spins; default: adaptive
 * @property {'auto' | 'none'} [pin] whether threads get CPUs of their own, as in a ServiceVm
 *   (thread-pinning.ts); default: auto
 * @property {URL} [deviceModule] a device in a thread of its own, otherwise the trivial device in
 *   this thread
 */

/** @param {MachineOptions} options */
export async function createMachine({ vcpus, loop, spinUs, pin = 'auto', deviceModule }) {
  const { HypervisorServiceModule } = await product('hsm/service-module.js');
  const { VmRequests } = await product('hsm/vm-requests.js');
  const { DeviceClient } = await product('device-model/device-client.js');
  const { ThreadClient } = await product('device-model/placement/in-own-thread.js');
  const { LineOwners } = await product('device-model/line-owners.js');
  const { inOwnThread } = await product('device-model/placement/thread-placement.js');
  const { GuestMemory } = await product('hypervisor/guest-memory.js');
  const { ThreadedVm } = await product('hypervisor/threaded-vm.js');
  const { Upcall } = await product('hypervisor/upcall.js');
  const { SharedBuffer, ports } = await product('index.js');

  const { ThreadPinning } = await product('vm/thread-pinning.js');
  const pinning = new ThreadPinning(pin, spinUs);
  const vmId = 1;
  pinning.add(vmId, vcpus);
  const { waker } = pinning;

  const upcall = new Upcall();
  if (waker !== undefined) upcall.waker = waker;
  const buffer = new SharedBuffer();
  const module = new HypervisorServiceModule({
    upcall,
    turn: () => new Promise((resolve) => setImmediate(resolve)),
    ...(spinUs === undefined ? {} : { spinUs }),
    waker,
  });
  /** @type {import('./loop-program.js').LoopResult[]} */
  const results = [];
  /** @type {(results: import('./loop-program.js').LoopResult[]) => void} */
  let resolveResults;
  /** @type {(reason: Error) => void} */
  let rejectResults;
  const finished = new Promise((resolve, reject) => ((resolveResults = resolve), (rejectResults = reject)));
  const fail = (/** @type {string} */ what) => rejectResults(new Error(what));
  const hypercalls = await ThreadedVm.create({
    config: {
      name: 'bench',
      memoryBytes: MEMORY_BYTES,
      vcpuCount: vcpus,
      completionPolling: false,
      waker,
    },
    buffer,
    upcall,
    onEvent: (event) => void (event.kind === 'halted' || fail(event.message)),
    entry: new URL('./vcpu-thread.js', import.meta.url),
    program: () => loop,
    memory: new GuestMemory({ buffer: new SharedArrayBuffer(MEMORY_BYTES), byteOffset: 0, byteLength: MEMORY_BYTES }),
    onReport: (_, report) => {
      results.push(/** @type {import('./loop-program.js').LoopResult} */ (report));
      if (results.length === vcpus) resolveResults(results);
    },
  });
  hypercalls.setIoreqBuffer();
  const requests = new VmRequests({
    vmId,
    buffer,
    hypercalls,
    observer: { event: (event) => fail(`the HSM reported ${JSON.stringify(event)}`) },
    clientTimeoutMs: 5000,
  });
  const range = ports(PORT, 8);
  if (deviceModule === undefined)
    requests.clients.add(new DeviceClient(answeringDevice, range, (_, error) => fail(String(error))), [range]);
  else {
    const client = new ThreadClient({
      placement: inOwnThread(deviceModule),
      range,
      memory: hypercalls.memory,
      lines: hypercalls.shared.lines,
      owners: new LineOwners(),
      reportError: (_, error) => fail(String(error)),
      onDeath: (reason) => fail(reason),
    });
    requests.clients.add(client, [range]);
    await client.ready;
  }
  module.addVm(requests);
  module.worker.start();
  return {
    /**
     * Starts the vCPUs. Resolves with the result of each, in the order in which they end.
     * @returns {Promise<import('./loop-program.js').LoopResult[]>}
     */
    run() {
      hypercalls.startVm();
      return finished;
    },
  };
}

/** @param {import('./loop-program.js').LoopResult} result nanoseconds for each access */
export const nsEach = ({ accesses, elapsedMs }) => (elapsedMs * 1e6) / accesses;

/** @param {Float64Array} sorted @param {number} share 0…1 */
export const percentile = (sorted, share) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
