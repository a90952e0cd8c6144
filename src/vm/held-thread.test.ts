import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, test } from 'node:test';
import type { Device } from '../device-model/device.js';
import { ports } from '../hsm/address-range.js';
import { ScriptedHypervisor, type ScriptStep } from '../hypervisor/scripted/scripted-hypervisor.js';
import { Deferred } from '../sync/deferred.js';
import { ServiceVm } from './service-vm.js';
import { describeEvent, type UserVmEvent } from './user-vm-events.js';

const LIMIT_MS = 200;
const HOLD_MS = 3 * LIMIT_MS;
const HEALTHY = ports(0x500, 1);
const BUSY = ports(0x600, 1);
/** Answers when `healthy` has been asked. */
const GATE = ports(0x700, 1);
const read = (address: number): ScriptStep => ({ type: 'port', direction: 'read', address, size: 1 });

describe('a device whose answer waits in a queue while the thread is held', { timeout: 120_000 }, () => {
  test('by another device keeps its range, and the event names the other device', async (t) => {
    const hypervisor = new ScriptedHypervisor([
      { steps: [read(0x500), read(0x500)] },
      { steps: [read(0x700), read(0x600)] },
    ]);
    const serviceVm = new ServiceVm(hypervisor);
    t.after(() => serviceVm.close());
    const vm = await serviceVm.createUserVm({ memoryMiB: 1, vcpus: 2, clientTimeoutMs: LIMIT_MS });
    const events: UserVmEvent[] = [];
    vm.onEvent((event) => events.push(event));
    const asked = new Deferred<number>();
    const folder = mkdtempSync(join(tmpdir(), 'upcall-held-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const backend = spawn(process.execPath, ['-e', BACKEND_PROGRAM, folder], { stdio: ['pipe', 'pipe', 'inherit'] });
    t.after(() => backend.kill());
    await once(backend.stdout, 'data');
    let reads = 0;
    const healthy: Device = {
      name: 'healthy',
      read: async () => {
        // It has kept its range.
        if (reads++ > 0) return 7;
        asked.resolve(1);
        const [answer] = (await once(backend.stdout, 'data')) as [Buffer];
        return answer.readUInt8();
      },
      write: () => undefined,
    };
    const busy: Device = {
      name: 'busy',
      // The backend answers `healthy` meanwhile: its answer is in the pipe when the thread is free.
      read: () => {
        const endMs = performance.now() + HOLD_MS;
        backend.stdin.write('read');
        while (performance.now() < endMs || readdirSync(folder).length === 0);
        return 9;
      },
      write: () => undefined,
    };
    vm.attach(GATE, { name: 'gate', read: () => asked.promise, write: () => undefined });
    vm.attach(HEALTHY, healthy);
    vm.attach(BUSY, busy);
    const results = hypervisor.results();
    await vm.start();
    assert.deepEqual(
      (await results).map(({ values }) => values),
      [
        [7n, 7n],
        [1n, 9n],
      ],
    );
    const extended = events.find((event) => event.kind === 'limit-extended');
    assert.ok(extended?.kind === 'limit-extended', events.map(describeEvent).join('\n'));
    assert.deepEqual([extended.client, extended.cause === 'client' && extended.holder], ['healthy', 'busy']);
    assert.match(
      describeEvent(extended),
      /healthy has had .* held for \d+ ms by I\/O client busy: its limit of 200 ms/,
    );
    assert.deepEqual(
      events.filter(({ kind }) => kind === 'client-late'),
      [],
    );
  });

  test('by a stop of the process keeps its range', { skip: process.platform === 'win32' && 'no SIGSTOP' }, async () => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', STOPPED_PROGRAM], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const lines: string[] = [];
    for await (const line of createInterface(child.stdout)) {
      lines.push(line);
      if (line !== 'asked') continue;
      child.kill('SIGSTOP');
      child.stdin.end('the answer');
      // The stop itself takes this long.
      await new Promise((resolve) => setTimeout(resolve, HOLD_MS));
      child.kill('SIGCONT');
    }
    assert.deepEqual(lines, ['asked', 'limit-extended stopped', 'values 7']);
  });
});

/** Says that it is there, then answers a read by 7 and leaves a file when it has. */
const BACKEND_PROGRAM = `
  const { writeFileSync, writeSync } = require('node:fs');
  process.stdin.on('data', () => {
    writeSync(1, '\\x07');
    writeFileSync(process.argv[1] + '/answered', '');
  });
  writeSync(1, 'ready');
`;

const STOPPED_PROGRAM = `
  import { stat } from 'node:fs';
  import { ScriptedHypervisor, ServiceVm, ports } from ${JSON.stringify(new URL('../index.js', import.meta.url).href)};
  const hypervisor = new ScriptedHypervisor([{ steps: [${JSON.stringify(read(0x500))}] }]);
  const serviceVm = new ServiceVm(hypervisor);
  const vm = await serviceVm.createUserVm({ memoryMiB: 1, clientTimeoutMs: ${LIMIT_MS} });
  vm.onEvent((event) => {
    if (event.kind === 'limit-extended') console.log(event.kind, event.cause);
    else if (event.kind === 'client-late') console.log(event.kind);
  });
  vm.attach(ports(0x500, 1), {
    name: 'slow',
    read: () => {
      // After this call has returned, when the limit runs.
      setImmediate(() => console.log('asked'));
      // The data comes in the loop's first turn after the stop, the answer to stat in a later one.
      return new Promise((resolve) => process.stdin.once('data', () => stat('.', () => resolve(7))));
    },
    write: () => undefined,
  });
  const results = hypervisor.results();
  await vm.start();
  console.log('values', String((await results)[0].values));
  await serviceVm.close();
`;
