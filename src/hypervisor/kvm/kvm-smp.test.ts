/**
 * The guest `smp` on KVM: 2, 4 and 16 vCPUs, started by INIT and SIPI, make accesses at the same
 * time, in real mode and in 64-bit mode. One client sees all of them, each with its vCPU.
 */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { mmio, ports } from '../../hsm/address-range.js';
import type { AssignedRequest } from '../../hsm/assigned-request.js';
import type { IoClient } from '../../hsm/io-client.js';
import { IoRequestState } from '../../io-request/state.js';
import { acpiDsdt, guestImage } from '../../vm/guest-library.js';
import { ServiceVm } from '../../vm/service-vm.js';
import { standardPc } from '../../vm/standard-pc.js';
import type { UserVm } from '../../vm/user-vm.js';
import { KvmHypervisor } from './kvm-hypervisor.js';
import { SLOWNESS, whyNoKvm } from './fixtures/needed-kvm.js';

const skip = await whyNoKvm();
const ROUNDS = 8;
/** A guest that finds no processors, or whose vCPUs do not all arrive, never ends. */
const LIMIT_MS = 120_000 * SLOWNESS;
// The guest's ranges and registers (guests/smp.asm).
const PORTS = 0x600;
const MEMORY = 0xd000_0000;
const BYTES = 0x80;
const [TOTAL, COUNT, MEET, ERRORS, OWN] = [0x00, 0x04, 0x08, 0x0c, 0x40];

/** The client of both ranges. A read of MEET waits for those of all vCPUs. */
class Recorder implements IoClient {
  readonly name = 'recorder';
  /** For each vCPU its writes of both halves, as "600=1", and "meet 600" for a read of MEET. */
  readonly accesses: string[][];
  /** For each meeting the slots that were not FREE then. */
  readonly busy: number[] = [];
  readonly totals = new Map([PORTS, MEMORY].map((base) => [base, 0]));
  readonly #waiting: (() => void)[] = [];

  constructor(vcpus: number) {
    this.accesses = Array.from({ length: vcpus }, () => []);
  }

  /** After the creation of the VM, before its start. */
  vm: UserVm | undefined;

  notify(request: AssignedRequest): void {
    const { ticket, vcpu } = request;
    const fields = request.toRequest();
    assert.ok(fields.type === 'port' || fields.type === 'mmio');
    const base = fields.type === 'port' ? PORTS : MEMORY;
    const offset = fields.address - base;
    if (!request.isRead) {
      this.#write(vcpu, base, offset, Number(fields.value));
      request.finish(ticket, 0);
    } else if (offset !== MEET) request.finish(ticket, this.#read(base, offset));
    else {
      this.accesses[vcpu]?.push(`meet ${base.toString(16)}`);
      this.#waiting.push(() => request.finish(ticket, 0));
      if (this.#waiting.length === this.accesses.length) this.#release();
    }
  }

  #write(vcpu: number, base: number, offset: number, value: number): void {
    if (offset === COUNT) return;
    if (offset === TOTAL) this.totals.set(base, (this.totals.get(base) ?? 0) + value);
    this.accesses[vcpu]?.push(`${(base + offset).toString(16)}=${value}`);
  }

  #read(base: number, offset: number): number {
    if (offset === TOTAL) return this.totals.get(base) ?? 0;
    return offset === ERRORS ? 0 : this.accesses.length;
  }

  #release(): void {
    const slots = this.vm?.buffer.slots ?? [];
    this.busy.push(slots.filter(({ state }) => state !== IoRequestState.FREE).length);
    for (const go of this.#waiting.splice(0)) go();
  }
}

/** What vCPU `vcpu` does, as the guest's source says. */
function expected(vcpu: number): string[] {
  const own = OWN + 4 * vcpu;
  const round = (number: number): string[] => [
    ...[PORTS, MEMORY].map((base) => `${(base + own).toString(16)}=${number}`),
    ...[PORTS, MEMORY].map((base) => `${(base + TOTAL).toString(16)}=1`),
  ];
  const rounds = Array.from({ length: 2 * ROUNDS }, (_, index) => round(index + 1));
  const half = (from: number): string[] => rounds.slice(from, from + ROUNDS).flat();
  return ['meet 600', ...half(0), 'meet d0000000', ...half(ROUNDS), 'meet 600'];
}

describe('all vCPUs of the guest smp', { skip }, () => {
  for (const vcpus of [2, 4, 16])
    for (const acpi of vcpus === 4 ? [true, false] : [true])
      test(`${vcpus} vCPUs, found in the ${acpi ? 'MADT' : 'MP table'}`, { timeout: LIMIT_MS }, async () => {
        const serviceVm = new ServiceVm(new KvmHypervisor());
        const recorder = new Recorder(vcpus);
        try {
          const vm = await serviceVm.createUserVm({
            vcpus,
            memoryMiB: 4,
            clientTimeoutMs: Infinity,
            image: {
              image: await readFile(guestImage('smp')),
              cmdline: String(ROUNDS),
              ...(acpi ? { dsdt: await readFile(acpiDsdt()) } : {}),
            },
          });
          recorder.vm = vm;
          vm.createClient(recorder, [ports(PORTS, BYTES), mmio(MEMORY, BYTES)]);
          let text = '';
          standardPc(vm, { console: { write: (bytes) => (text += Buffer.from(bytes).toString('latin1')) } });
          await vm.start();
          const end = await vm.ended;

          assert.equal(end.reason, 'power-off', end.message);
          // Each vCPU, its own order, and nothing twice or lost.
          recorder.accesses.forEach((accesses, vcpu) => assert.deepEqual(accesses, expected(vcpu), `vCPU ${vcpu}`));
          const total = 2 * ROUNDS * vcpus;
          assert.deepEqual([...recorder.totals.values()], [total, total]);
          assert.deepEqual(recorder.busy, [vcpus, vcpus, vcpus], 'slots busy at each meeting');
          const line = (where: string): string =>
            `smp: ${where}: ${total} of ${total} writes, out of order 0: exact\r\n`;
          const halves = `${vcpus} processors, ${ROUNDS} rounds in real mode and in 64-bit mode`;
          assert.equal(text, `smp: ${halves}\r\n${line('ports')}${line('memory')}`);
        } finally {
          await serviceVm.close();
        }
      });
});
