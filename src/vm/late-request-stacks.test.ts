import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { Device } from '../device-model/device.js';
import { ports } from '../hsm/address-range.js';
import type { HsmEvent } from '../hsm/hsm-observer.js';
import type { IoClient } from '../hsm/io-client.js';
import { ScriptedHypervisor } from '../hypervisor/scripted/scripted-hypervisor.js';
import { ServiceVm } from './service-vm.js';
import type { UserVmOptions } from './user-vm-options.js';
import { describeEvent } from './user-vm-events.js';

const range = ports(0x500, 1);

/** The first report of a late request, with short limits. */
async function lateness(
  put: Device | IoClient,
  options: UserVmOptions,
): Promise<Extract<HsmEvent, { kind: 'client-late' }>> {
  const serviceVm = new ServiceVm(
    new ScriptedHypervisor([{ steps: [{ type: 'port', direction: 'read', address: 0x500, size: 1 }] }]),
  );
  const vm = await serviceVm.createUserVm({ memoryMiB: 1, clientTimeoutMs: 5, ...options });
  if ('notify' in put) vm.createClient(put, [range]);
  else vm.attach(range, put);
  const late = new Promise<Extract<HsmEvent, { kind: 'client-late' }>>((resolve) =>
    vm.onEvent((event) => {
      if (event.kind === 'client-late') resolve(event);
    }),
  );
  await vm.start();
  try {
    return await late;
  } finally {
    await serviceVm.close();
  }
}

/** A module of an author: what is compiled beside upcall's files passes for upcall's. */
const folder = mkdtempSync(join(tmpdir(), 'late-stacks-'));
after(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'disk.mjs');
writeFileSync(
  file,
  `export async function waitsInTheDisk() {
     await Promise.resolve();
     return await theDiskThatNeverAnswers();
   }
   export function theDiskThatNeverAnswers() {
     return new Promise(() => undefined);
   }`,
);
const { waitsInTheDisk, theDiskThatNeverAnswers } = (await import(pathToFileURL(file).href)) as Record<
  'waitsInTheDisk' | 'theDiskThatNeverAnswers',
  () => Promise<number>
>;

describe('a late request', { timeout: 120_000 }, () => {
  for (const late of ['all-ones', 'wait'] as const)
    test(`shows where its device waits (${late})`, async () => {
      const device: Device = { name: 'disk', read: () => waitsInTheDisk(), write: () => undefined };
      const event = await lateness(device, { late, lateStacks: true });
      assert.match(event.stack ?? '', /^Waiting in:\n\s+at .*(theDiskThatNeverAnswers|waitsInTheDisk)/);
      assert.doesNotMatch(event.stack ?? '', /node:|late-request-stacks|device-client/);
      assert.match(event.detail ?? '', /promise is open/);
      assert.equal(event.policy, late);
    });

  test('shows the code of a device that waits at once, not the code around it that waits for the device', async () => {
    const device: Device = { name: 'disk', read: () => theDiskThatNeverAnswers(), write: () => undefined };
    const event = await lateness(device, { lateStacks: true });
    assert.match(event.stack ?? '', /^Waiting in:\n\s+at .*theDiskThatNeverAnswers/);
  });

  test('of a client that waits for nothing is reported as such', async () => {
    const event = await lateness({ name: 'forgetful', notify: () => undefined }, { lateStacks: true });
    assert.equal(event.stack, undefined);
    assert.match(describeEvent(event), /was removed; it waits for nothing that was created for this request$/);
  });

  test('has no stack without the option lateStacks', async () => {
    const device: Device = { name: 'disk', read: () => waitsInTheDisk(), write: () => undefined };
    const event = await lateness(device, { late: 'wait' });
    assert.equal(event.stack, undefined);
    assert.match(
      describeEvent(event),
      /^I\/O client disk has had "read port 0x500\/1" of vCPU 0 for \d+ ms, and keeps it; the device’s promise is open$/,
    );
  });

  test('names the fault rule that dropped its answer, with stacks and without', async () => {
    const device: Device = { name: 'disk', read: () => 1, write: () => undefined };
    for (const lateStacks of [false, true]) {
      const event = await lateness(device, { lateStacks, faults: { rules: ['client=disk: drop'] } });
      assert.equal(event.detail, 'the fault rule "client=disk: drop" drops its answer');
    }
  });

  test('with an invalid policy is refused', async () => {
    const serviceVm = new ServiceVm(new ScriptedHypervisor([]));
    const late = 'never' as 'wait';
    await assert.rejects(serviceVm.createUserVm({ late }), { code: 'OPTION_INVALID' });
    await serviceVm.close();
  });
});
