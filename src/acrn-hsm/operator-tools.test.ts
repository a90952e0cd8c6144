/** A VM made by ioctl has the tools of any other VM, and its userspace does not notice them. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PageClient } from '../dashboard/fixtures/page-client.js';
import { openLivePage } from '../dashboard/open-live-page.js';
import { Errno } from '../io-request/errno.js';
import { ports } from '../hsm/address-range.js';
import { ScriptedHypervisor, type Script, type ScriptStep } from '../hypervisor/scripted/scripted-hypervisor.js';
import { describeMove } from '../trace/move.js';
import { ServiceVm } from '../vm/service-vm.js';
import type { UserVmEvent } from '../vm/user-vm-events.js';
import { IoctlProgram, type Answer } from './fixtures/ioctl-program.js';
import { HsmDevice, type HsmDeviceOptions } from './hsm-device.js';
import { Ioctl } from './ioctl-codes.js';

const LIMIT = { timeout: 120_000 };
const read = (address: number): ScriptStep => ({ type: 'port', direction: 'read', address, size: 1 });
const write = (address: number, value: number): ScriptStep => ({
  ...{ type: 'port', direction: 'write', address, size: 1, value },
});
/** What the program answers: the low four bits of the port, plus 0x40. */
const portPlus40: Answer = (slot) => 0x40 + (slot.addressLow & 0xf);

interface Bench {
  readonly serviceVm: ServiceVm;
  readonly program: IoctlProgram;
  readonly events: UserVmEvent[];
  /** Starts the VM by ioctl; resolves when every vCPU has played its script, with what it read. */
  readonly play: () => Promise<(readonly bigint[])[]>;
}

async function withBench(
  scripts: readonly Script[],
  options: HsmDeviceOptions & { readonly answer?: Answer },
  work: (bench: Bench) => Promise<void>,
): Promise<void> {
  const { answer = portPlus40, ...deviceOptions } = options;
  const hypervisor = new ScriptedHypervisor(scripts);
  const serviceVm = new ServiceVm(hypervisor);
  const events: UserVmEvent[] = [];
  const device = new HsmDevice(serviceVm, {
    memoryBytes: 1 << 20,
    vcpuCount: scripts.length,
    onVm: (vm) => vm.onEvent((event) => events.push(event)),
    ...deviceOptions,
  });
  const program = await IoctlProgram.create(device, answer);
  const play = async (): Promise<(readonly bigint[])[]> => {
    const results = hypervisor.results();
    await program.ioctl(Ioctl.START_VM);
    return (await results).map(({ values }) => values);
  };
  try {
    await work({ serviceVm, program, events, play });
  } finally {
    await device.unload();
    assert.ok((await program.served) < 0);
    await serviceVm.close();
  }
}

describe('observation', LIMIT, () => {
  test('statistics count the requests of userspace and of an attached device by client', async () => {
    const script = { steps: [read(0x500), write(0x501, 7), read(0x600)] };
    await withBench([script, script], { statistics: true }, async ({ program, play }) => {
      program.vm.attach(ports(0x600, 1), { name: 'echo', read: () => 0x55, write: () => undefined });
      assert.deepEqual(await play(), [
        [0x40n, 0x55n],
        [0x40n, 0x55n],
      ]);
      const counted = program.vm.statistics()?.clients.map(({ name, reads, writes }) => [name, reads, writes]);
      assert.deepEqual(counted?.sort(), [
        ['acrndm', 2, 2],
        ['echo', 2, 0],
      ]);
      assert.equal(program.vm.counters().requests, 6);
    });
  });

  test('the trace shows each move of a request, also the one that NOTIFY makes', async () => {
    await withBench([{ steps: [read(0x503)] }], {}, async ({ program, play }) => {
      const moves = program.vm.trace();
      const seen = (async () => {
        const lines: string[] = [];
        for await (const move of moves) lines.push(describeMove(move));
        return lines;
      })();
      assert.deepEqual(await play(), [[0x43n]]);
      await program.file.close();
      const text = (await seen).join('\n');
      for (const move of [/FREE\W+PENDING/, /PENDING\W+PROCESSING/, /PROCESSING\W+COMPLETE/, /COMPLETE\W+FREE/])
        assert.match(text, move);
      assert.match(text, /acrndm/);
    });
  });

  test('clients and owners are listed by the names of the control interface', async () => {
    await withBench([{ steps: [read(0x500)] }], {}, async ({ program, play }) => {
      const { inspection, id } = program.vm;
      assert.deepEqual(
        inspection.clients.map(({ name }) => name),
        ['acrndm', `ioeventfd-${id}`],
      );
      await play();
      assert.equal(inspection.ownerOf(0)?.name, 'acrndm');
    });
  });
});

describe('breakpoints', LIMIT, () => {
  test('hold a request before userspace is given it, and change what the guest wrote', async () => {
    const seen: number[] = [];
    const answer: Answer = (slot) => seen.push(slot.valueLow);
    await withBench([{ steps: [write(0x500, 7)] }], { answer }, async ({ program, play }) => {
      const { debugger: stops } = program.vm;
      stops.add({ at: 'pending' });
      const played = play();
      const stop = await stops.stopped();
      assert.deepEqual([stop?.client, stop?.at, stop?.request.value], ['acrndm', 'pending', 7]);
      assert.deepEqual(seen, []);
      stops.change(0, 9);
      stops.go(0);
      await played;
      assert.deepEqual(seen, [9]);
    });
  });

  test("hold userspace's answer before COMPLETE, and change it; ATTACH waits meanwhile", async () => {
    let answers = 0;
    const answer: Answer = (slot) => (answers++, portPlus40(slot));
    await withBench([{ steps: [read(0x502)] }], { answer }, async ({ program, play }) => {
      const { debugger: stops } = program.vm;
      const number = stops.add({ at: 'complete' });
      const played = play();
      const stop = await stops.stopped();
      assert.deepEqual([stop?.client, stop?.at, stop?.request.value], ['acrndm', 'complete', 0x42]);
      // Another NOTIFY for the held request changes nothing, with the breakpoint and without it.
      for (let round = 0; round < 2; round++) {
        assert.equal(program.file.ioctlVm?.finishRequest(0), 0);
        assert.equal(stops.stops.length, 1);
        stops.remove(number);
      }
      stops.change(0, 0x77);
      stops.go(0);
      assert.deepEqual(await played, [[0x77n]]);
      assert.equal(answers, 1);
    });
  });

  test('a pause by ioctl releases a held request, and the VM can be cleared, reset and started again', async () => {
    await withBench([{ steps: [read(0x500)] }], {}, async ({ program, play }) => {
      const { debugger: stops } = program.vm;
      const number = stops.add({ at: 'complete' });
      const first = play();
      await stops.stopped();
      await program.ioctl(Ioctl.PAUSE_VM);
      assert.equal(stops.stops.length, 0);
      stops.remove(number);
      await program.ioctl(Ioctl.CLEAR_VM_IOREQ);
      await program.ioctl(Ioctl.RESET_VM);
      const second = await play();
      assert.deepEqual(second, [[0x40n]]);
      await first;
    });
  });
});

describe('faults', LIMIT, () => {
  for (const [rule, expected] of [
    ['client=acrndm read: value=0x99', 0x99n],
    ['client=acrndm read: flip=0x01', 0x41n],
    ['client=acrndm read: delay=5ms', 0x40n],
    ['client=acrndm read: slow=5ms', 0x40n],
    ['client=acrndm read: crash', 0xffn],
  ] as const)
    test(`a rule applies to an answer of userspace: ${rule}`, async () => {
      const faults = { seed: 1, rules: [rule] };
      await withBench([{ steps: [read(0x500)] }], { faults }, async ({ program, play, events }) => {
        assert.equal(program.file.userspaceHandle, undefined, 'a thread would finish past the rules');
        assert.deepEqual(await play(), [[expected]]);
        assert.equal(program.vm.faults?.report()[0]?.injected, 1);
        assert.ok(events.some(({ kind }) => kind === 'fault-injected'));
      });
    });

  test('a rule for a line applies to SET_IRQLINE: an edge is lost, the next one passes', async () => {
    const faults = { seed: 1, rules: ['line=5: lose times=1'] };
    await withBench([{ steps: [] }], { faults }, async ({ program, events }) => {
      const { lines } = program.vm.hypercalls.shared;
      const raised: number[] = [];
      const controller = { raise: (line: number) => raised.push(line), lower: () => undefined };
      const pulse = (line: bigint): number | Promise<number> =>
        program.file.ioctl(Ioctl.SET_IRQLINE, (2n << 32n) | line);
      for (const line of [5n, 6n, 5n]) {
        assert.equal(await pulse(line), 0);
        // Created and not running: the vCPU's thread is parked and leaves the lines to us.
        lines.deliver(controller);
      }
      assert.deepEqual(raised, [6, 5]);
      assert.equal(await pulse(99n), Errno.EPERM);
      assert.equal(events.filter(({ kind }) => kind === 'fault-injected').length, 1);
    });
  });

  test('a dropped answer is finished by the time limit', async () => {
    const options = { faults: { seed: 1, rules: ['client=acrndm: drop times=1'] }, clientTimeoutMs: 100 };
    await withBench([{ steps: [read(0x500), read(0x500)] }], options, async ({ play, events }) => {
      assert.deepEqual(await play(), [[0xffn, 0x40n]]);
      assert.ok(events.some(({ kind }) => kind === 'client-late'));
    });
  });

  test('a plan that cannot be read is refused when the device is made', async () => {
    const serviceVm = new ServiceVm(new ScriptedHypervisor([]));
    assert.throws(() => new HsmDevice(serviceVm, { faults: { rules: ['port=: ones'] } }), { code: 'OPTION_INVALID' });
    await serviceVm.close();
  });
});

describe('the operator and the program', LIMIT, () => {
  test('after its operator destroys a VM, ATTACH returns −ENODEV and every other ioctl −EINVAL', async () => {
    await withBench([{ steps: [] }], {}, async ({ serviceVm, program, events }) => {
      const { vm } = program;
      assert.deepEqual(serviceVm.vms, [vm]);
      await vm.destroy();
      assert.equal((await vm.ended).reason, 'destroyed');
      assert.equal(await program.served, Errno.ENODEV);
      assert.equal(await program.file.ioctl(Ioctl.START_VM), Errno.EINVAL);
      assert.equal(program.file.vm, undefined);
      assert.deepEqual(serviceVm.vms, []);
      assert.equal(events.at(-1)?.kind, 'ended');
    });
  });

  test('the operator can start, pause and reset a VM made by ioctl', async () => {
    await withBench([{ steps: [read(0x500)] }], {}, async ({ program }) => {
      const { vm } = program;
      await vm.start();
      await assert.rejects(vm.start(), { code: 'VM_STATE' });
      await vm.pause();
      await vm.reset();
      assert.equal(await program.file.ioctl(Ioctl.START_VM), 0);
    });
  });

  test('a guest that halts, resets or powers off is reported, and its VM stays', async () => {
    await withBench([{ steps: [] }], {}, async ({ program, play, events }) => {
      const halted = new Promise((resolve) => program.vm.onEvent(resolve));
      await play();
      await halted;
      program.vm.power.reset('port 0xcf9');
      program.vm.power.powerOff('S5');
      assert.deepEqual(
        events.map(({ kind }) => kind),
        ['halted', 'reset', 'power-off'],
      );
      await program.ioctl(Ioctl.PAUSE_VM);
      await program.ioctl(Ioctl.RESET_VM);
    });
  });

  test('a PCI function cannot be attached: ACRN userspace has PCI configuration space', async () => {
    await withBench([{ steps: [] }], {}, ({ program }) => {
      const fn = { name: 'card', readConfig: () => 0, writeConfig: () => undefined };
      assert.throws(() => program.vm.attachPci({ bus: 0, device: 1, function: 0 }, fn), { code: 'VM_STATE' });
      return Promise.resolve();
    });
  });

  test('VMs of both kinds share their IDs, and an ID is free once its VM has ended', async () => {
    await withBench([{ steps: [] }], {}, async ({ serviceVm, program }) => {
      assert.equal(program.vm.id, 1);
      const other = await serviceVm.createUserVm({ memoryMiB: 1 });
      assert.equal(other.id, 2);
      await program.file.close();
      assert.equal((await serviceVm.createUserVm({ memoryMiB: 1 })).id, 1);
    });
  });

  test('a listener for new VMs that throws leaves no VM', async () => {
    const serviceVm = new ServiceVm(new ScriptedHypervisor([]));
    const onVm = (): never => {
      throw new Error('a bug of the operator');
    };
    const device = new HsmDevice(serviceVm, { memoryBytes: 1 << 20, onVm });
    await assert.rejects(IoctlProgram.create(device, portPlus40), /a bug of the operator/);
    assert.deepEqual(serviceVm.vms, []);
    await serviceVm.close();
  });
});

test('the live page shows slots, moves, tables and breakpoints of a VM made by ioctl', LIMIT, async () => {
  const script = { steps: [read(0x500), read(0x501)] };
  await withBench([script], { statistics: true }, async ({ program, play }) => {
    const live = await openLivePage(program.vm);
    const { origin, hash } = new URL(live.address);
    const page = new PageClient(origin);
    await page.send({ kind: 'hello', token: hash.slice(1) });
    const { vm } = await page.message('welcome');
    assert.deepEqual([vm.vcpus, vm.hypervisor, vm.memoryBytes], [1, 'scripted', 1 << 20]);
    await page.send({ kind: 'watch', slots: true, tables: true, moves: {} });
    await page.send({ kind: 'break', id: 1, breakpoint: { at: 'complete', first: '0x501' } });
    assert.equal((await page.message('done')).error, undefined);
    const played = play();
    const { stops } = await page.message('stops', (message) => message.stops.length > 0);
    assert.deepEqual([stops[0]?.client, stops[0]?.request.value], ['acrndm', '0x41']);
    await page.until(() => page.frames.length > 0);
    await page.send({ kind: 'change', id: 2, vcpu: 0, value: '0x5a' });
    await page.send({ kind: 'go', id: 3, vcpu: 0 });
    assert.deepEqual(await played, [[0x40n, 0x5an]]);
    const { moves } = await page.message('moves', (message) => message.moves.some(({ to }) => to === 'COMPLETE'));
    assert.ok(moves.some(({ client }) => client === 'acrndm'));
    const tables = await page.message('tables', ({ requests }) => requests === 2);
    assert.equal(tables.clients.find(({ name }) => name === 'acrndm')?.name, 'acrndm');
    await program.file.close();
    assert.equal((await page.message('ended')).reason, 'destroyed');
    page.close();
    await live.close();
  });
});
