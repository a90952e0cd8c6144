import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ScriptedHypervisor, type ScriptStep } from '../../hypervisor/scripted/scripted-hypervisor.js';
import { ServiceVm } from '../../vm/service-vm.js';
import { parseDevice } from '../device-option.js';
import { Reporter } from '../reporter.js';
import { startSession } from '../session-start.js';
import { coveragePlan, reportCoverage } from './coverage-option.js';
import { RunCoverage } from './run-coverage.js';

const example = (name: string): string =>
  fileURLToPath(new URL(`../../../examples/devices/${name}.js`, import.meta.url));

async function covered(steps: readonly ScriptStep[], ...devices: readonly string[]): Promise<RunCoverage> {
  const hypervisor = new ScriptedHypervisor([{ steps }]);
  const serviceVm = new ServiceVm(hypervisor);
  const played = hypervisor.results();
  const vm = await serviceVm.createUserVm({ memoryMiB: 1 });
  const coverage = new RunCoverage(vm);
  const plan = { devices: devices.map(parseDevice) };
  await startSession(vm, plan, undefined, undefined, (client) => coverage.add(client));
  await played;
  await serviceVm.close();
  await coverage.ended();
  return coverage;
}

const port = (address: number, size: 1 | 2 | 4, value?: number): ScriptStep => ({
  type: 'port',
  direction: value === undefined ? 'read' : 'write',
  address,
  size,
  ...(value === undefined ? {} : { value }),
});

for (const [where, words] of [
  ['in the Service VM’s thread', ''],
  ['in its own thread', ',thread'],
] as const)
  test(`the accesses of a device ${where} are counted by register, with their values`, async () => {
    const wide = { type: 'mmio', address: 0xd000_0000, size: 8 } as const;
    const coverage = await covered(
      [
        port(0x500, 4, 60_000),
        port(0x500, 4, 0),
        port(0x504, 1),
        port(0x506, 2),
        port(0x600, 1),
        { ...wide, direction: 'write', value: 0x0000_0001_0000_0000n },
      ],
      `${example('countdown')}@0x500+8${words}`,
      `${example('countdown')}@mmio:0xd0000000+8${words}`,
    );
    const [ports, memory, ...others] = coverage.devices;
    assert.equal(others.length, 0);
    const [ms, expired] = ports?.fields ?? [];
    assert.deepEqual([ms?.register, ms?.reads, ms?.writes, ms?.written], ['MS', 0, 2, [60_000, 0]]);
    assert.deepEqual([expired?.field, expired?.reads, expired?.writes], ['EXPIRED', 1, 0]);
    assert.deepEqual([ports?.otherAccesses, ports?.missing], [1, ['MS is never read']]);
    // The two halves of the wide access: MS, and 4 bytes at STATUS, which has one.
    assert.deepEqual([memory?.fields[0]?.written, memory?.otherAccesses], [[0], 1]);
    assert.equal(coverage.lostMoves, 0);
    assert.match(
      coverage.toString(),
      /^registers of countdown \(examples\/devices\/countdown\.js\)\nMS +not read +written 2× \(0xea60 0x0\)\n/,
    );
  });

test('a card is covered at its BARs, and a device without a map is named', async () => {
  const config = (register: number, value: number): ScriptStep[] => [
    port(0xcf8, 4, 0x8000_2800 + register),
    port(0xcfc, 4, value),
  ];
  const load: ScriptStep = { type: 'mmio', direction: 'read', address: 0xd000_0000, size: 4 };
  const coverage = await covered(
    [...config(0x10, 0xd000_0000), ...config(0x04, 2), load, port(0x500, 1)],
    `${example('watchdog')}@pci:00:05.0`,
    `${example('read-counter')}@0x500`,
  );
  assert.deepEqual(
    coverage.devices.map(({ device, fields }) => [device, fields.filter(({ reads }) => reads > 0).length > 0]),
    [['watchdog', true]],
  );
  assert.match(coverage.toString(), /^read-counter has no register map$/m);
});

test('the report is a table, or a file of JSON', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'upcall-coverage-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'coverage.json');
  const printed: string[] = [];
  const reporter = new Reporter({ write: (text) => printed.push(text) });
  const coverage = await covered([], `${example('countdown')}@0x500+8`);
  reportCoverage(coveragePlan(true, 1) ?? {}, coverage, reporter);
  assert.match(printed.join(''), /MS is never read\nMS is never written\nSTATUS\.EXPIRED is never read\n$/);
  reportCoverage(coveragePlan(file, 1) ?? {}, coverage, reporter);
  const { devices, lostMoves } = JSON.parse(readFileSync(file, 'utf8')) as Pick<RunCoverage, 'devices' | 'lostMoves'>;
  assert.deepEqual([devices, lostMoves], [JSON.parse(JSON.stringify(coverage.devices)), 0]);
});

test('--coverage without a device, before the guest, or to no file is refused', () => {
  assert.equal(coveragePlan(undefined, 0), undefined);
  for (const [option, devices, message] of [
    [true, 0, /^--coverage has no device to cover$/],
    ['debian', 1, /^--coverage debian: that is a guest/],
    ['/nowhere/coverage.json', 1, /^--coverage \/nowhere\/coverage\.json: ENOENT/],
  ] as const)
    assert.throws(() => coveragePlan(option, devices), { code: 'OPTION_INVALID', message, remedy: /\w/ });
});
