import assert from 'node:assert/strict';
import { createServer, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { ScriptedHypervisor } from '../hypervisor/scripted/scripted-hypervisor.js';
import { Deferred } from '../sync/deferred.js';
import { ServiceVm } from '../vm/service-vm.js';
import { Reporter } from './reporter.js';
import { VmTools } from './vm-tools.js';

test('a page that cannot be opened leaves its port to the page of the next VM', async () => {
  const taken = createServer().unref();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const { port } = taken.address() as AddressInfo;
  const serviceVm = new ServiceVm(new ScriptedHypervisor([{ steps: [] }]));
  const lines: string[] = [];
  const reporter = new Reporter({ write: (text: string) => lines.push(text) });
  /** Opens the page of a new VM, and ends both. */
  const openOnce = async (): Promise<void> => {
    const vm = await serviceVm.createUserVm({ memoryMiB: 1 });
    const tools = new VmTools(vm, {
      reporter,
      hypervisor: 'scripted',
      page: { port },
      statistics: false,
      debug: false,
    });
    await tools.pageOpened;
    await vm.destroy();
    await tools.ended;
  };
  try {
    await openOnce();
    assert.match(lines.splice(0).join(''), /another program listens there/);
    await new Promise((resolve) => taken.close(resolve));
    await openOnce();
    assert.match(lines.join(''), new RegExp(`the live page is at http://127\\.0\\.0\\.1:${port}/`));
  } finally {
    await serviceVm.close();
  }
});

test('a trace has the moves from before its file was open, and one without a file is not recorded', async () => {
  const read = { type: 'port', direction: 'read', address: 0x500, size: 1 } as const;
  for (const isOpened of [true, false]) {
    const serviceVm = new ServiceVm(new ScriptedHypervisor([{ steps: [read] }]));
    const lines: string[] = [];
    const [opened, states] = [new Deferred<void>(), [] as string[]];
    const vm = await serviceVm.createUserVm({ memoryMiB: 1 });
    const tools = new VmTools(vm, {
      reporter: new Reporter({ write: (text: string) => lines.push(text) }),
      hypervisor: 'scripted',
      statistics: false,
      debug: false,
      trace: async () => {
        await opened.promise;
        if (!isOpened) throw new Error('no such folder');
        const add = (event: object): Promise<void> => {
          if ('to' in event) states.push(String(event.to));
          return Promise.resolve();
        };
        return { add, close: () => Promise.resolve() };
      },
    });
    if (!isOpened) opened.resolve();
    await vm.start();
    await vm.ended;
    opened.resolve();
    await tools.ended;
    assert.deepEqual(states, isOpened ? ['PENDING', 'PROCESSING', 'COMPLETE', 'FREE'] : []);
    assert.equal(lines.includes('upcall: no such folder\n'), !isOpened);
    assert.equal(vm.hypercalls.shared.trace.isOn, false);
    await serviceVm.close();
  }
});
