import assert from 'node:assert/strict';
import type { IoClient } from './io-client.js';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { DefaultClient } from '../device-model/default-client.js';
import { DeviceClient } from '../device-model/device-client.js';
import { PciBus } from '../device-model/devices/pci/pci-bus.js';
import { IoRequestType, PAGE_BYTES } from '../io-request/layout.js';
import { SharedWords } from '../sync/shared-words.js';
import { TraceRing } from '../trace/trace-ring.js';
import { VmTrace } from '../trace/vm-trace.js';
import { addressRange, mmio, ports, type AddressRange } from './address-range.js';
import type { AssignedRequest } from './assigned-request.js';
import { Keeper, OneVm } from './fixtures/one-vm.js';

const U64 = 1n << 64n;
const SLOT_WORDS = 64;
/** Byte offsets of the words of a slot that have a meaning. */
const FIELDS = [0, 4, 64, 68, 72, 76, 80, 84, 88, 92, 96, 100, 104, 132, 136];

const word = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(0, 1, 2, 3, 4, 8, -1, 0x500, 0x501, 0xcf8, 0xcfc, 0xcff) },
  { weight: 1, arbitrary: fc.integer() },
);
const write = fc.record({
  kind: fc.constant('write' as const),
  slot: fc.nat(4),
  field: fc.constantFrom(...FIELDS),
  word,
});
/** Fields of a plausible guest request: most of them hit a range. */
const plausible = fc
  .tuple(
    fc.constantFrom(0, 0, 1, 1, 2, 3),
    fc.constantFrom(0, 1),
    fc.constantFrom(0x500, 0x501, 0x4ff, 0x5ff, 0xcf8, 0xcfc, 0xcfe, 0),
    fc.constantFrom(1, 2, 4, 8),
    fc.integer(),
  )
  .map(([type, direction, address, size, value]): [number, number][] => [
    [0, type],
    [64, direction],
    [72, address],
    [76, 0],
    [80, size],
    [84, 0],
    [88, value],
  ]);
const access = fc.record({ kind: fc.constant('access' as const), slot: fc.nat(4), fields: plausible });
const pending = fc.record({ kind: fc.constant('pending' as const), slot: fc.nat(4) });
const step = fc.oneof(
  { weight: 6, arbitrary: write },
  { weight: 6, arbitrary: access },
  { weight: 2, arbitrary: pending },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('dispatch' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('answer' as const), client: fc.nat(2), word }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('notify' as const), vcpu: fc.integer({ min: 0, max: 20 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('withdraw' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('destroy' as const), client: fc.nat(1) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('random page' as const),
      bytes: fc.uint8Array({ minLength: 256, maxLength: 256 }),
    }),
  },
);

/** Whether `range` contains the complete request, as u64 with the driver's wrap-around. */
function isInside(request: AssignedRequest, sizeHigh: number, range: AddressRange): boolean {
  const u64 = (low: number, high: number): bigint => (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
  const address = u64(request.addressLow, request.addressHigh);
  const last = BigInt.asUintN(64, address + u64(request.size, sizeHigh) - 1n);
  return request.type === range.type && address >= range.start && last <= range.end && address < U64;
}

describe('a page that others write to at any moment', () => {
  test('makes nothing throw, and gives no client a request outside of its ranges', async () => {
    let handedOut = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 80, size: 'max' }), async (steps) => {
        const vm = new OneVm({ vcpuCount: 5, sleep: () => Promise.resolve() });
        const words = new SharedWords(vm.buffer.page);
        const keepers = [
          new Keeper('ports', ports(0x500, 2), ports(0xcf8, 8)),
          new Keeper('memory', mmio(0, 0x600), addressRange(IoRequestType.MMIO, U64 - 8n, U64 - 1n)),
        ];
        for (const keeper of keepers) {
          const checked = {
            name: keeper.name,
            notify: (request: AssignedRequest) => {
              handedOut++;
              // There is only one thread here, so the page still has the upper half of the size.
              const sizeHigh = vm.buffer.slot(request.vcpu).sizeHigh;
              assert.ok(
                keeper.ranges.some((range) => isInside(request, sizeHigh, range)),
                request.describe(),
              );
              keeper.notify(request);
            },
          };
          vm.requests.clients.add(checked, keeper.ranges);
        }
        const user = new Keeper('default');
        vm.requests.clients.addDefault(user);
        const all = [...keepers, user];
        for (const one of steps) {
          switch (one.kind) {
            case 'write':
              words.store(one.slot * SLOT_WORDS + (one.field >> 2), one.word);
              break;
            case 'access':
              for (const [field, value] of one.fields) words.store(one.slot * SLOT_WORDS + (field >> 2), value);
              words.store(one.slot * SLOT_WORDS + 34, 0);
              break;
            case 'pending':
              words.store(one.slot * SLOT_WORDS + 34, 0);
              break;
            case 'dispatch':
              assert.equal(vm.requests.dispatch(), 0);
              break;
            case 'answer': {
              const keeper = all[one.client];
              if (keeper !== undefined && keeper.kept.length > 0) keeper.answer(one.word, one.word);
              break;
            }
            case 'notify':
              assert.equal(vm.requests.finishDefault(one.vcpu), one.vcpu < 5 ? 0 : -22);
              break;
            case 'clear':
              await vm.requests.clear();
              break;
            case 'withdraw':
              vm.requests.withdraw();
              break;
            case 'destroy': {
              const client = vm.requests.clients.all[one.client];
              const keeper = keepers.find((candidate) => candidate.name === client?.name);
              if (client === undefined || keeper === undefined) break;
              vm.requests.clients.destroy(client);
              vm.requests.clients.add(client, keeper.ranges);
              break;
            }
            case 'random page':
              for (let at = 0; at < PAGE_BYTES; at += 256) new Uint8Array(vm.buffer.page, at, 256).set(one.bytes);
          }
        }
        vm.requests.close();
        for (let vcpu = 0; vcpu < 5; vcpu++) assert.equal(vm.requests.assignments.of(vcpu).isAssigned, false);
        const kinds = new Set(vm.events.map(({ kind }) => kind));
        kinds.delete('flush-timeout');
        assert.deepEqual([...kinds], []);
      }),
      { seed: 8, numRuns: 1000 },
    );
    assert.ok(handedOut > 500, `only ${handedOut} requests reached a client of a range`);
  });

  test('makes neither the default client nor a device throw, and the statistics stay bounded', () => {
    const tampered = fc.array(fc.tuple(fc.constantFrom(...FIELDS.filter((field) => field !== 136)), word), {
      maxLength: 4,
    });
    const slotWords = fc.tuple(plausible, tampered).map(([fields, others]) => [...fields, ...others]);
    const trace = new VmTrace(new TraceRing());
    let vm: OneVm | undefined;
    const statistics = trace.count<IoClient>({
      rangesOf: (client) => vm?.requests.clients.ranges(client) ?? [],
      isDefault: (client) => client === vm?.requests.clients.default,
    });
    const accesses: [number, number][] = [];
    fc.assert(
      fc.property(fc.array(slotWords, { maxLength: 30, size: 'max' }), (requests) => {
        const made = (vm = new OneVm({
          vcpuCount: 1,
          observer: {
            event: (event) => assert.fail(`${event.kind}: ${'message' in event ? event.message : ''}`),
            dispatched: (_, request, client) => statistics.dispatched(request, client),
            assigning: (client) => trace.assigning(client),
          },
        }));
        for (const slot of made.buffer.slots) trace.recorder.observe(slot);
        const words = new SharedWords(made.buffer.page);
        made.requests.clients.addDefault(new DefaultClient(new PciBus()));
        const range = mmio(0, 0x600);
        const device = {
          name: 'device',
          read: (offset: number, size: number) => accesses.push([offset, size]),
          write: (offset: number, size: number, value: number) => {
            accesses.push([offset, size]);
            assert.ok(value >= 0 && value < 2 ** (8 * size));
          },
        };
        made.requests.clients.add(new DeviceClient(device, range, (_, error) => assert.fail(String(error))), [range]);
        for (const slot of requests) {
          for (const [field, value] of slot) words.store(field >> 2, value);
          words.store(34, 0);
          made.requests.dispatch();
        }
      }),
      { seed: 9, numRuns: 400 },
    );
    assert.ok(accesses.length > 500, `only ${accesses.length} accesses reached the device`);
    for (const [offset, size] of accesses) assert.ok(offset >= 0 && offset + size <= 0x600 && [1, 2, 4].includes(size));
    assert.ok(statistics.snapshot().types.length <= 5, 'unknown type numbers share a row');
  });
});
