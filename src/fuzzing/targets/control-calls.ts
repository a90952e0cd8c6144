/**
 * Target "control": programs of ioctls with any code, argument and bytes, on two open files, while
 * the mapped pages are overwritten.
 *
 * Called by: campaigns (campaign.ts), through FUZZ_TARGETS.
 *
 * Properties: each call returns a result or −errno and never throws. Only the caller's own VM is
 * affected. After the module is unloaded nothing is left.
 *
 * src/conformance/control-model.test.ts compares the results with a model of the driver. Here the
 * programs need not make sense.
 */

import { HandDrivenHypervisor } from '../../conformance/hand-driven-hypervisor.js';
import { MappedMemory } from '../../acrn-hsm/address-space.js';
import { LocalEventTable } from '../../acrn-hsm/event-table.js';
import { HsmDevice } from '../../acrn-hsm/hsm-device.js';
import type { HsmFile } from '../../acrn-hsm/hsm-file.js';
import { ExtensionIoctl, Ioctl } from '../../acrn-hsm/ioctl-codes.js';
import { VM_CREATION } from '../../acrn-hsm/struct-layout.js';
import { StructView } from '../../acrn-hsm/struct-view.js';
import { LocalEvent } from '../../hsm/event-object.js';
import type { HypervisorServiceModule } from '../../hsm/service-module.js';
import { PAGE_BYTES } from '../../io-request/layout.js';
import { ServiceVm } from '../../vm/service-vm.js';
import { expect, within, type FuzzTarget } from '../fuzz-target.js';
import { FuzzInput } from '../fuzz-input.js';

const CODES: readonly number[] = [...Object.values(Ioctl), ...Object.values(ExtensionIoctl)];
const MEMORY_BYTES = 1 << 20;
/** Pages that a process has mapped: for structures and for the page of slots. */
const PAGES = 4;
/** For one call. It takes milliseconds, but the machine may be busy. */
const LIMIT_MS = 45_000;
/** Limit of a program's pending calls. */
const MAX_WAITING = 64;
/** The largest errno that a Linux system call returns. */
const MAX_ERRNO = 4095;
const WORDS = [
  0, 1, 2, 3, 4, 8, 16, 0x41, 0x60, 0x3f8, 0xcf8, 0xcfc, 0x1000, 0x8000, 0xffff, 0x1_0000, 0xfee0_0000, 0x7fff_ffff,
  0xffff_ffff,
];

/** A caller: its mapped memory, its file descriptors, and its open file of /dev/acrn_hsm. */
interface Process {
  readonly memory: MappedMemory;
  readonly pages: readonly bigint[];
  readonly events: LocalEventTable;
  file: HsmFile;
}

export const controlCalls: FuzzTarget = {
  name: 'control',
  about: 'ioctls of any code with any bytes',
  maxBytes: 1024,
  open: () => Promise.resolve({ run: (bytes) => run(new FuzzInput(bytes)), close: () => undefined }),
};

async function run(input: FuzzInput): Promise<void> {
  // The input also decides which hypercalls fail: one in eight of those in AcceptedHypercall. None
  // of them is made by CREATE_VM.
  const serviceVm = new ServiceVm(new HandDrivenHypervisor(() => (input.below(8) === 7 ? -1 : 0)));
  const { module } = serviceVm;
  const device = new HsmDevice(serviceVm, {
    memoryBytes: MEMORY_BYTES,
    vcpuCount: 1 + input.below(4),
    hasExtensions: input.below(2) === 1,
    interceptPci: input.below(2) === 1,
    // CLEAR_VM_IOREQ gives up at once: no client finishes meanwhile.
    sleep: () => Promise.resolve(),
  });
  await device.load();
  const processes = [open(device), open(device)] as const;
  // A third process with a VM, which makes no calls and must not be affected.
  const bystander = open(device);
  const creation = bystander.pages[0] as bigint;
  bystander.memory.write(creation, new StructView(VM_CREATION).set('ioreq_buf', bystander.pages[1] as bigint).bytes);
  expect((await bystander.file.ioctl(Ioctl.CREATE_VM, creation)) === 0, 'the bystander has no VM');
  const pageBefore = bystander.memory.bytes(bystander.pages[1] as bigint, PAGE_BYTES)?.slice();

  const interrupt = new AbortController();
  const waiting: Promise<unknown>[] = [];
  while (!input.isEmpty && waiting.length < MAX_WAITING)
    await step(input, device, module, input.pick(processes), interrupt, waiting);

  interrupt.abort();
  for (const { file } of processes) await within(LIMIT_MS, 'close', file.close());
  await within(LIMIT_MS, 'calls of closed files', Promise.all(waiting));
  const pageAfter = bystander.memory.bytes(bystander.pages[1] as bigint, PAGE_BYTES);
  expect(pageAfter?.every((byte, at) => byte === pageBefore?.[at]) === true, 'another VM’s page was written');
  expectVms(module, 1);
  await within(LIMIT_MS, 'unload', device.unload());
  expectVms(module, 0);
  await within(LIMIT_MS, 'close the Service VM', serviceVm.close());
}

/** One act of `caller`. Calls that may not return for long are added to `waiting`. */
async function step(
  input: FuzzInput,
  device: HsmDevice,
  module: HypervisorServiceModule,
  caller: Process,
  { signal }: AbortController,
  waiting: Promise<unknown>[],
): Promise<void> {
  const kind = input.below(16);
  if (kind === 0) fill(input, caller);
  else if (kind === 1) module.worker.pass();
  else if (kind === 2) await new Promise((resolve) => setImmediate(resolve));
  else if (kind === 3) caller.events.close(input.below(8));
  else if (kind === 4) {
    const event = caller.events.lookup(input.below(8));
    if (typeof event !== 'number') event.signal();
  } else if (kind === 5) {
    waiting.push(caller.file.close());
    caller.file = device.open(caller.memory, caller.events);
  } else {
    const code = input.below(16) === 15 ? input.u32() : input.pick(CODES);
    const result = caller.file.ioctl(code, argument(input, caller), signal);
    if (typeof result === 'number') expectAnswer(code, result);
    else waiting.push(result.then((settled) => expectAnswer(code, settled)));
    // Most programs await most of their calls. ATTACH may never return.
    if (typeof result !== 'number' && code !== Ioctl.ATTACH_IOREQ_CLIENT && input.below(4) !== 3)
      await within(LIMIT_MS, `ioctl 0x${code.toString(16)}`, result);
  }
}

/** A pointer to new bytes, to a used page or to no memory, or a plain value. */
function argument(input: FuzzInput, caller: Process): bigint {
  const kind = input.below(8);
  const page = input.pick(caller.pages);
  if (kind < 4) {
    fill(input, caller);
    return caller.pages[0] as bigint;
  }
  if (kind === 4) return page + BigInt(input.below(PAGE_BYTES));
  if (kind === 5) return page;
  if (kind === 6) return BigInt(input.word(WORDS));
  return (BigInt(input.u32()) << 32n) | BigInt(input.u32());
}

/** Writes words at likely field offsets, some of them addresses of the caller's pages. */
function fill(input: FuzzInput, { memory, pages }: Process): void {
  const page = pages[input.below(2) === 0 ? 0 : input.below(PAGES)] as bigint;
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  for (let left = input.below(12); left > 0; left--) {
    const isPointer = input.below(4) === 3;
    view.setBigUint64(0, isPointer ? input.pick(pages) : BigInt(input.word(WORDS)), true);
    const at = input.below(4) === 3 ? input.below(PAGE_BYTES - 8) : 4 * input.below(40);
    memory.write(page + BigInt(at), input.below(4) === 3 ? bytes : bytes.subarray(0, isPointer ? 8 : 4));
  }
}

function open(device: HsmDevice): Process {
  const memory = new MappedMemory();
  const events = new LocalEventTable();
  for (let fd = 0; fd < 4; fd++) events.open(fd === 3 ? undefined : new LocalEvent());
  const pages = Array.from({ length: PAGES }, () => memory.allocate(PAGE_BYTES));
  return { memory, pages, events, file: device.open(memory, events) };
}

function expectVms(module: HypervisorServiceModule, count: number): void {
  const { length } = module.vms;
  expect(length === count, () => `${length} VMs instead of ${count}`);
}

/** Throws if the result of an ioctl is neither a result nor −errno. */
function expectAnswer(code: number, result: number): void {
  expect(
    Number.isInteger(result) && result >= -MAX_ERRNO && result <= 0x7fff_ffff,
    () => `ioctl 0x${code.toString(16)} gave ${String(result)}`,
  );
}
