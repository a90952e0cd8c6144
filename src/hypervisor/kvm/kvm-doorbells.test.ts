/** Doorbells of a card on KVM: the kernel counts the writes, and no vCPU leaves the guest. */

import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { TestCard } from '../../device-model/pci/fixtures/test-card.js';
import { ports } from '../../hsm/address-range.js';
import { until } from '../../hsm/fixtures/turns.js';
import { ServiceVm } from '../../vm/service-vm.js';
import { KvmHypervisor } from './kvm-hypervisor.js';
import { SLOWNESS, whyNoKvm } from './fixtures/needed-kvm.js';

const skip = await whyNoKvm();
const BAR = 0xc000;
const MOVED = 0xd000;
const BELL = 0x10;
const END = 0x500;

class Bells extends TestCard {
  /** Without repetitions: rings at different moments for several writes are as good as one. */
  readonly seen: string[] = [];
  readonly doorbells = [{ bar: 0, offset: BELL }];

  constructor() {
    super({ bars: [{ type: 'ports', size: 0x100 }] }, 'bells');
  }

  override write(_bar: number, offset: number): void {
    this.seen.push(`write ${offset.toString(16)}`);
  }

  override read(): number {
    this.seen.push('read');
    return 0;
  }

  rung(doorbell: number): void {
    if (this.seen.at(-1) !== `rung ${doorbell}`) this.seen.push(`rung ${doorbell}`);
  }
}

// Real-mode code: mov dx, port; then out dx, al; in al, dx; mov eax, value; out dx, eax.
const dx = (port: number): number[] => [0xba, port & 0xff, port >> 8];
const out = (port: number): number[] => [...dx(port), 0xee];
const read = (port: number): number[] => [...dx(port), 0xec];
const outLong = (port: number, value: number): number[] => [
  ...[0x66, 0xb8, value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, value >>> 24],
  ...dx(port),
  ...[0x66, 0xef],
];
const config = (register: number, value: number): number[] => [
  ...outLong(0xcf8, 0x8000_2800 + register),
  ...outLong(0xcfc, value),
];
const HLT = [0xf4, 0xeb, 0xfd];

/** Open eventfds of this process. */
function eventFds(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === 'anon_inode:[eventfd]';
    } catch {
      return false;
    }
  }).length;
}

test(
  'a doorbell makes no exit, and is rung before the next request',
  { skip, timeout: 60_000 * SLOWNESS },
  async () => {
    const before = eventFds();
    const serviceVm = new ServiceVm(new KvmHypervisor());
    const code = [
      ...[...config(0x10, BAR), ...config(0x04, 1)],
      ...[...out(BAR + BELL), ...out(BAR + BELL), ...out(BAR + BELL), ...read(BAR)],
      ...[...out(BAR + BELL), ...read(BAR)],
      // There is no card any more where it was, and a doorbell where it is.
      ...[...config(0x10, MOVED), ...out(BAR + BELL), ...out(MOVED + BELL), ...out(END), ...out(MOVED + BELL), ...HLT],
    ];
    const vm = await serviceVm.createUserVm({
      name: 'doorbells',
      memoryMiB: 1,
      image: { image: Uint8Array.from(code), kind: 'real' },
    });
    const card = new Bells();
    const attached = vm.attachCard(card, { bus: 0, device: 5, function: 0 });
    const ended = new Promise<void>((resolve) => {
      vm.attach(ports(END, 1), {
        name: 'end',
        read: () => 0,
        write: () => resolve(),
      });
    });
    await vm.start();
    await ended;
    const writes = (): number => vm.inspection.interrupts().doorbells.reduce((sum, each) => sum + each.writes, 0);
    // The last write is no request, and no request follows: the event loop sees it.
    await until(() => writes() === 6);
    assert.deepEqual(card.seen, ['rung 0', 'read', 'rung 0', 'read', 'rung 0']);
    const { portAccesses, asyncWrites } = vm.counters();
    // Six of configuration, two reads, one where there is no card, one at the end.
    assert.deepEqual({ portAccesses, asyncWrites }, { portAccesses: 10, asyncWrites: 0 });
    const withBell = eventFds();
    attached.detach();
    // The doorbell's, and the duplicate that goes with the kernel's entries.
    assert.equal(eventFds(), withBell - 2);
    await serviceVm.close();
    assert.equal(eventFds(), before);
  },
);
