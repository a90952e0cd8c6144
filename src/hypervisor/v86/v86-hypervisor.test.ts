import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UpcallError } from '../../io-request/upcall-error.js';
import { SharedBuffer } from '../../io-request/shared-buffer.js';
import type { Slot } from '../../io-request/slot.js';
import { OrderedPoll } from '../../sync/poll.js';
import { IoRequestState } from '../../io-request/state.js';
import type { Hypercalls } from '../hypercalls.js';
import type { VmConfig, HypervisorEvent } from '../hypervisor.js';
import { Upcall } from '../upcall.js';
import type { VcpuRegisters } from '../vcpu-registers.js';
import { VcpuState } from '../vm-shared-state.js';
import { V86Hypervisor } from './v86-hypervisor.js';

const CONFIG: VmConfig = {
  name: 'test',
  memoryBytes: 1 << 20,
  vcpuCount: 1,
  completionPolling: false,
};
const ENTRY = 0x8000;
const FLAT: VcpuRegisters = { mode: 'flat-32', ip: ENTRY, cs: { selector: 8 }, ds: { selector: 16 } };

class Bench {
  readonly upcall = new Upcall();
  readonly buffer = new SharedBuffer();
  readonly slot: Slot = this.buffer.slot(0);
  readonly events: HypervisorEvent[] = [];
  #eventArrived: () => void = () => undefined;
  vm!: Hypercalls;

  static async create(): Promise<Bench> {
    const bench = new Bench();
    bench.vm = await new V86Hypervisor().createVm(CONFIG, bench.buffer, bench.upcall, (event) => {
      bench.events.push(event);
      bench.#eventArrived();
    });
    assert.equal(bench.vm.setIoreqBuffer(), 0);
    return bench;
  }

  start(code: readonly number[]): void {
    this.vm.memory.write(ENTRY, Uint8Array.from(code));
    assert.equal(this.vm.setVcpuRegs(0, FLAT), 0);
    assert.equal(this.vm.startVm(), 0);
  }

  /** The next request, as the HSM would find it. */
  async request(): Promise<string> {
    while (!(await this.upcall.wait(new OrderedPoll(() => this.slot.state === IoRequestState.PENDING))));
    const { type, direction, addressLow, sizeLow, valueLow } = this.slot;
    return [type, direction, addressLow >>> 0, sizeLow, direction === 1 ? valueLow >>> 0 : '-'].join(' ');
  }

  finish(value: number): void {
    assert.ok(this.slot.assign(false));
    this.slot.setValue(value);
    assert.ok(this.slot.complete());
    assert.equal(this.vm.notifyRequestFinish(0), 0);
  }

  async event(): Promise<HypervisorEvent> {
    while (this.events.length === 0) await new Promise<void>((resolve) => (this.#eventArrived = resolve));
    return this.events.shift() as HypervisorEvent;
  }

  async close(): Promise<void> {
    assert.equal(await this.vm.pauseVm(), 0);
    assert.equal(await this.vm.destroyVm(), 0);
    assert.equal(this.vm.shared.vcpuState(0), VcpuState.OFFLINE);
  }
}

test('a guest’s accesses become requests in slot 0 and its registers get their answers', async () => {
  const bench = await Bench.create();
  // in al, 0x60; out 0x61, al; mov ax, [0xd0000000]; mov [0xd0000004], ax; cli; hlt
  // prettier-ignore
  bench.start([0xe4, 0x60, 0xe6, 0x61, 0x66, 0xa1, 0, 0, 0, 0xd0, 0x66, 0xa3, 4, 0, 0, 0xd0, 0xfa, 0xf4]);
  assert.equal(await bench.request(), '0 0 96 1 -');
  bench.finish(0x42);
  assert.equal(await bench.request(), '0 1 97 1 66');
  bench.finish(0);
  assert.equal(await bench.request(), `1 0 3489660928 2 -`);
  bench.finish(0x1234);
  assert.equal(await bench.request(), `1 1 3489660932 2 4660`);
  bench.finish(0);
  assert.equal((await bench.event()).kind, 'halted');
  await bench.close();
});

test('wide accesses to the interrupt controllers are answered by the hypervisor and are no requests', async () => {
  const bench = await Bench.create();
  // in ax, 0x20; out 0xa0, eax; mov [0xfec00000], al; mov bl, [0xfec00100]; out 0x80, ax; cli; hlt
  // prettier-ignore
  bench.start([0x66, 0xe5, 0x20, 0xe7, 0xa0, 0xa2, 0, 0, 0xc0, 0xfe, 0x8a, 0x1d, 0, 1, 0xc0, 0xfe, 0x66, 0xe7, 0x80, 0xfa, 0xf4]);
  assert.equal(await bench.request(), '0 1 128 2 65535');
  bench.finish(0);
  assert.equal((await bench.event()).kind, 'halted');
  assert.equal(bench.vm.shared.counters(0).answeredByHypervisor, 4);
  await bench.close();
});

test('a triple fault is an event with the address, and the VM can be reset and run again', async () => {
  const bench = await Bench.create();
  bench.start([0x0f, 0x0b]); // ud2
  const event = await bench.event();
  assert.equal(event.kind, 'triple-fault');
  assert.match(event.message, /0x00008000/);
  assert.equal(await bench.vm.pauseVm(), 0);
  assert.equal(await bench.vm.resetVm(), 0);
  bench.start([0xe6, 0x80, 0xf4]); // out 0x80, al; hlt
  assert.equal(await bench.request(), '0 1 128 1 0');
  bench.finish(0);
  assert.equal((await bench.event()).kind, 'halted');
  await bench.close();
});

test('while its slot is not FREE each access of a guest is a #GP, and a reset ends that', async () => {
  const bench = await Bench.create();
  const { memory } = bench.vm;
  // Vector 13 in real mode: 0000:9000. inc word [0x6000]; pop cx; add cx, 2; push cx; iret
  memory.writeU32(4 * 13, 0x9000);
  memory.write(0x9000, Uint8Array.of(0xff, 0x06, 0x00, 0x60, 0x59, 0x83, 0xc1, 0x02, 0x51, 0xcf));
  memory.write(ENTRY, Uint8Array.of(0xe4, 0x60, 0xe6, 0x61, 0xfa, 0xf4)); // in al, 0x60; out 0x61, al; cli; hlt
  const real: VcpuRegisters = { mode: 'real', ip: ENTRY, esp: 0x7000, cs: { selector: 0 }, ds: { selector: 0 } };
  bench.vm.setVcpuRegs(0, real);
  // What a completion without a request leaves behind.
  assert.ok(bench.slot.fill(0, 0, 0, 0, 1, 0, 0, false) && bench.slot.assign(false) && bench.slot.complete());
  assert.equal(bench.vm.startVm(), 0);
  assert.equal((await bench.event()).kind, 'halted');
  assert.equal(memory.readU16(0x6000), 2);
  assert.equal(bench.vm.shared.counters(0).failed, 2);
  assert.equal(bench.vm.shared.counters(0).requests, 0);
  assert.equal(bench.slot.state, IoRequestState.COMPLETE);

  assert.equal(await bench.vm.pauseVm(), 0);
  assert.equal(await bench.vm.resetVm(), 0);
  bench.vm.setVcpuRegs(0, real);
  assert.equal(bench.vm.startVm(), 0);
  assert.equal(await bench.request(), '0 0 96 1 -');
  bench.finish(0x42);
  assert.equal(await bench.request(), '0 1 97 1 66');
  await bench.close();
});

test('a VM that waits for a request is paused, reset and starts anew: the old access never happened', async () => {
  const bench = await Bench.create();
  const code = [0xe4, 0x60, 0xe6, 0x61, 0xf4]; // in al, 0x60; out 0x61, al; hlt
  bench.start(code);
  for (let round = 0; round < 5; round++) {
    assert.equal(await bench.request(), '0 0 96 1 -');
    assert.equal(await bench.vm.pauseVm(), 0);
    assert.equal(await bench.vm.resetVm(), 0);
    assert.equal(bench.slot.state, IoRequestState.FREE);
    bench.start(code);
  }
  assert.equal(await bench.request(), '0 0 96 1 -');
  bench.finish(7);
  assert.equal(await bench.request(), '0 1 97 1 7');
  await bench.close();
});

test('an interrupt line wakes a halted vCPU', async () => {
  const bench = await Bench.create();
  const { memory } = bench.vm;
  // Vector 0x24 in real mode: 0000:9000.
  memory.writeU32(4 * 0x24, 0x9000);
  // out 0x81, al; end of interrupt; mov al, 0; iret
  memory.write(0x9000, Uint8Array.of(0xe6, 0x81, 0xb0, 0x20, 0xe6, 0x20, 0xb0, 0x00, 0xcf));
  // prettier-ignore
  memory.write(ENTRY, Uint8Array.of(
    0xb0, 0x11, 0xe6, 0x20, 0xb0, 0x20, 0xe6, 0x21, 0xb0, 0x04, 0xe6, 0x21, 0xb0, 0x01, 0xe6, 0x21, // the first 8259
    0xb0, 0x00, 0xe6, 0x21,       // mov al, 0; out 0x21, al: nothing masked
    0xe6, 0x80, 0xfb,             // out 0x80, al; sti
    0xf4, 0xeb, 0xfd,             // again: hlt; jmp again
  ));
  bench.vm.setVcpuRegs(0, { mode: 'real', ip: ENTRY, esp: 0x7000, cs: { selector: 0 }, ds: { selector: 0 } });
  assert.equal(bench.vm.startVm(), 0);
  assert.equal(await bench.request(), '0 1 128 1 0');
  bench.finish(0);
  for (let round = 0; round < 3; round++) {
    assert.equal(bench.vm.setIrqLine(4, 2), 0);
    assert.equal(await bench.request(), '0 1 129 1 0');
    bench.finish(0);
  }
  await bench.close();
});

test('bytes that the Service VM writes are what the guest then runs', async () => {
  const bench = await Bench.create();
  // again: out 0x80, al; inc eax; jmp again
  bench.start([0xe6, 0x80, 0x40, 0xeb, 0xfb]);
  for (let value = 0; value < 3; value++) {
    assert.equal(await bench.request(), `0 1 128 1 ${value}`);
    bench.finish(0);
  }
  assert.equal(await bench.request(), '0 1 128 1 3');
  bench.vm.memory.writeU8(ENTRY + 2, 0x48); // dec eax
  bench.finish(0);
  assert.equal(await bench.request(), '0 1 128 1 2');
  await bench.close();
});

test('it is available, and refuses more than one vCPU', async () => {
  const hypervisor = new V86Hypervisor();
  assert.equal((await hypervisor.available()).available, true);
  await assert.rejects(
    hypervisor.createVm({ ...CONFIG, vcpuCount: 2 }, new SharedBuffer(), new Upcall(), () => undefined),
    (error) => error instanceof UpcallError && error.code === 'VM_LIMIT',
  );
});

test('a size of RAM that the core cannot have is refused, and no thread is left', async () => {
  await assert.rejects(
    new V86Hypervisor().createVm({ ...CONFIG, memoryBytes: 4096 }, new SharedBuffer(), new Upcall(), () => undefined),
    (error) => error instanceof UpcallError && error.code === 'VM_LIMIT',
  );
});
