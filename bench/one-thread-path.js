// @ts-check
/**
 * The product's request path in one thread: the real Slot, VmRequests, AddressMap and clients of a
 * VM with one vCPU, and a batch of accesses that checks each value.
 *
 * `bare` clients complete at once. With `device` there are devices behind DeviceClient, and the
 * real default client.
 */

import { product } from './product.js';
import { ACCESSES, CLIENTS, makeAccesses, rangeAt } from './workload.js';

/**
 * Requests in one batch: a fraction of a millisecond, so that some batches run without another
 * program in between.
 */
export const BATCH = 1024;
const ANSWER = 0x5a;

/** A client that completes at once. */
class BareClient {
  requests = 0;

  /** @param {string} name */
  constructor(name) {
    this.name = name;
  }

  /** @param {import('../dist/index.js').AssignedRequest} request */
  notify(request) {
    this.requests++;
    request.finish(request.ticket, ANSWER);
  }
}

/** A device with one register of constant value. */
class OneRegister {
  requests = 0;

  /** @param {string} name */
  constructor(name) {
    this.name = name;
  }

  read() {
    this.requests++;
    return ANSWER;
  }

  write() {
    this.requests++;
  }
}

/**
 * The page of a VM with one vCPU, and the clients behind it.
 * @param {number} ranges @param {string} kind
 */
async function createVm(ranges, kind) {
  const { VmRequests } = await product('hsm/vm-requests.js');
  const { DeviceClient } = await product('device-model/device-client.js');
  const { DefaultClient } = await product('device-model/default-client.js');
  const { PciBus } = await product('device-model/devices/pci/pci-bus.js');
  const { mmio, ports, SharedBuffer } = await product('index.js');
  const buffer = new SharedBuffer();
  const requests = new VmRequests({
    vmId: 1,
    buffer,
    hypercalls: { vcpuCount: 1, notifyRequestFinish: () => 0 },
    observer: {
      event: (event) => {
        throw new Error(JSON.stringify(event));
      },
    },
    clientTimeoutMs: Infinity,
  });
  /** @type {(BareClient | OneRegister)[]} */
  const counters = [];
  const startMs = performance.now();
  requests.clients.addDefault(kind === 'bare' ? new BareClient('default') : new DefaultClient(new PciBus()));
  for (let number = 0; number < CLIENTS; number++) {
    const own = Array.from({ length: ranges }, (_, range) => range)
      .filter((range) => range % CLIENTS === number)
      .map(rangeAt);
    const toRange = (/** @type {ReturnType<typeof rangeAt>} */ { isPort, start, length }) =>
      isPort ? ports(start, length) : mmio(start, length);
    const handler = new (kind === 'bare' ? BareClient : OneRegister)(`client ${number}`);
    counters.push(handler);
    const [first, last] = [own[0], own.at(-1)];
    if (handler instanceof BareClient) requests.clients.add(handler, own.map(toRange));
    else if (first !== undefined && last !== undefined) {
      // One device serves all ranges of the client: its offsets start at the first one.
      const whole = toRange({ ...first, length: last.start + last.length - first.start });
      const client = new DeviceClient(handler, whole, (_, error) => {
        throw error;
      });
      requests.clients.add(client, own.map(toRange));
    }
  }
  const setUpMs = performance.now() - startMs;
  return {
    slot: buffer.slot(0),
    requests,
    /** How long it took to add the clients with their ranges. */
    setUpMs,
    served: () => counters.reduce((sum, one) => sum + one.requests, 0),
  };
}

/**
 * @param {number} ranges
 * @param {import('./workload.js').Pattern} pattern
 * @param {string} kind `bare` or `device`
 * @returns {Promise<{ batch: () => void, setUpMs: number, served: () => number }>} `batch` makes
 *   BATCH requests; `served` counts those of clients with ranges
 */
export async function createPath(ranges, pattern, kind) {
  const { slot, requests, setUpMs, served } = await createVm(ranges, kind);
  const { types, directions, sizes, addresses } = makeAccesses(ranges, pattern);
  // The product's default client answers all ones, as a signed word.
  const expected = pattern === 'unclaimed' && kind === 'device' ? -1 : ANSWER;
  let next = 0;
  const batch = () => {
    const end = next + BATCH;
    for (let i = next; i < end; i++) {
      const direction = /** @type {number} */ (directions[i]);
      slot.fill(
        /** @type {number} */ (types[i]),
        direction,
        /** @type {number} */ (addresses[i]),
        0,
        /** @type {number} */ (sizes[i]),
        0,
        0,
        false,
      );
      requests.dispatch();
      // As in the I/O handler: the release fails unless the slot is COMPLETE.
      if (!slot.release() || (direction === 0 && slot.valueLow !== expected))
        throw new Error(`access ${i} read ${slot.valueLow} in state ${slot.state}`);
    }
    next = end % ACCESSES;
  };
  return { batch, setUpMs, served };
}
