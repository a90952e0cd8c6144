import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { host } from '../../host/current.js';
import { ports } from '../../hsm/address-range.js';
import { pciInterrupt } from '../../hypervisor/boot/interrupt-routing.js';
import { ScriptedHypervisor, type ScriptStep } from '../../hypervisor/scripted/scripted-hypervisor.js';
import { ServiceVm } from '../../vm/service-vm.js';
import type { UserVmEvent } from '../../vm/user-vm-events.js';
import type { UserVm } from '../../vm/user-vm.js';
import type { UserVmOptions } from '../../vm/user-vm-options.js';
import { Deferred } from '../../sync/deferred.js';
import { DeviceBlame } from '../device-blame.js';
import { parseDevice, type DeviceOption } from '../device-option.js';
import { watchedCard } from './served-card.js';
import { WatchedDevice } from './watched-device.js';

/** Lines on which the guest waits for the test, one after the other. */
const FIRST_LINE = 16;
const PORT = 0x500;
/** Where the guest writes when it has done an act. */
const DONE_PORT = 0x600;

const read = (offset = 0): ScriptStep => ({ type: 'port', direction: 'read', address: PORT + offset, size: 1 });
const write = (offset: number, value: number): ScriptStep => ({
  type: 'port',
  direction: 'write',
  address: PORT + offset,
  size: 1,
  value,
});

/** Reads as `value` at 0 and as what was written at 1, and holds line 5 while that is not 0. */
const source = (value: number, members = ''): string => `
import { plus } from './part.ts';
export default class {
  name = 'test';
  #written = 0;
  registers = { source: 'version ${value}', registers: [] };
  constructor({ interruptLine }: { interruptLine(gsi: number): { set(high: boolean): void } }) {
    this.line = interruptLine(5);
  }
  line: { set(high: boolean): void };
  read(offset: number) { return offset === 0 ? ${value} + plus : this.#written; }
  write(_offset: number, _size: number, value: number) { this.#set(value); }
  #set(value: number) { this.#written = value; this.line.set(value !== 0); }
  save() { return { written: this.#written }; }
  restore({ written }: { written: number }) { this.#set(written); }
  ${members}
}
`;

const CARD_MEMORY = 0xd000_0000;

const config = (register: number, value: number): ScriptStep[] => [
  { type: 'port', direction: 'write', address: 0xcf8, size: 4, value: 0x8000_2800 + register },
  { type: 'port', direction: 'write', address: 0xcfc, size: 4, value },
];
const readCard = (offset: number): ScriptStep => ({
  type: 'mmio',
  direction: 'read',
  address: CARD_MEMORY + offset,
  size: 4,
});

/** A card that holds its pin from a write on, and reads as `value` and as what was written. */
const cardSource = (value: number, size = 0x1000, members = ''): string => `
export default class {
  name = 'test';
  pci = { vendor: 1, device: 2, class: 3, interruptPin: 'A', bars: [{ type: 'memory', size: ${size} }] };
  #card: any;
  #written = 0;
  connect(card: any) { this.#card = card; }
  read(_bar: number, offset: number) { return offset === 0 ? ${value} : this.#written; }
  write(_bar: number, _offset: number, _size: number, value: number) { this.restore(value); }
  save() { return this.#written; }
  restore(written: number) { this.#written = written; if (written !== 0) this.#card.raise(); }
  ${members}
}
`;

interface Watched {
  readonly file: string;
  /** A file that the module imports. */
  readonly part: string;
  /** Lets the guest do its next act. Resolves when it has. */
  readonly go: () => Promise<void>;
  /** Resolves when a request is in the device. */
  readonly entered: () => Promise<void>;
  /** The result of the guest's reads. */
  readonly values: Promise<number[]>;
  /** Resolves with the next event of this kind. */
  readonly event: <K extends UserVmEvent['kind']>(kind: K) => Promise<Extract<UserVmEvent, { kind: K }>>;
  readonly blame: DeviceBlame;
  readonly vm: UserVm;
}

/** A guest that does each of `acts` and waits between them. */
async function watched(
  t: TestContext,
  words: string,
  acts: readonly (readonly ScriptStep[])[],
  options: UserVmOptions = {},
  first = source(1),
  place = '0x500+4',
): Promise<Watched> {
  const folder = mkdtempSync(join(tmpdir(), 'upcall-watched-'));
  const [file, part] = [join(folder, 'device.ts'), join(folder, 'part.ts')];
  writeFileSync(file, first);
  writeFileSync(part, 'export const plus = 0;');
  const steps = acts.flatMap((act, index): ScriptStep[] => [
    { type: 'wait-for-interrupt', line: FIRST_LINE + index },
    ...act,
    { type: 'port', direction: 'write', address: DONE_PORT, size: 1 },
  ]);
  const hypervisor = new ScriptedHypervisor([{ steps }]);
  const serviceVm = new ServiceVm(hypervisor);
  t.after(async () => {
    await serviceVm.close();
    rmSync(folder, { recursive: true });
  });
  const values = hypervisor.results().then(([result]) => (result?.values ?? []).map(Number));
  const vm = await serviceVm.createUserVm({ memoryMiB: 1, ...options });
  const blame = new DeviceBlame();
  const option = parseDevice(`${file}@${place}${words}`);
  let done: () => void = () => undefined;
  vm.attach(ports(DONE_PORT, 1), { name: 'done', read: () => 0, write: () => done() });
  await new WatchedDevice(vm, option, (device) => blame.add(device)).attach();
  await vm.start();
  let next = FIRST_LINE;
  return {
    file,
    part,
    blame,
    vm,
    values,
    go: () => {
      const ended = new Promise<void>((resolve) => (done = resolve));
      vm.interruptLine(next++).set(true);
      return ended;
    },
    entered: async () => {
      for (;;) {
        const client = vm.inspection.clients.find(({ name }) => name === 'test');
        if (client !== undefined && vm.inspection.assignedSlots(client) !== 0) return;
        await host.turn();
      }
    },
    event: (kind) =>
      new Promise((resolve) => {
        const stop = vm.onEvent((event) => {
          if (event.kind !== kind) return;
          stop();
          resolve(event as never);
        });
      }),
  };
}

for (const [where, words] of [
  ['in the Service VM’s thread', ''],
  ['in its own thread', ',thread'],
] as const)
  describe(`a watched device ${where}`, () => {
    test('is replaced while the guest runs, with its state, by each save and by a change of an import', async (t) => {
      const { file, part, go, values, event } = await watched(t, words, [
        [read(), write(1, 7)],
        [read(), read(1)],
        [read(), read(1)],
      ]);
      await go();
      for (const change of [
        () => {
          writeFileSync(`${file}.new`, source(2));
          renameSync(`${file}.new`, file);
        },
        () => writeFileSync(part, 'export const plus = 10;'),
      ]) {
        const reloaded = event('device-reloaded');
        change();
        const { device, isStateCarried, ms } = await reloaded;
        assert.ok(device === 'test' && isStateCarried && ms > 0);
        await go();
      }
      assert.deepEqual(await values, [1, 2, 7, 12, 7]);
    });

    test('has its line low after a reload without its state, and the registers of the new class', async (t) => {
      const { file, go, values, event, vm } = await watched(t, words, [[write(1, 7)], [read(1)]]);
      const registers = async (): Promise<string> => {
        const client = vm.inspection.clients.find(({ name }) => name === 'test');
        return client === undefined ? '' : (await vm.inspection.peek(client)).source;
      };
      await go();
      assert.ok(vm.hypercalls.shared.lines.level(5));
      assert.equal(await registers(), 'version 1');
      const reloaded = event('device-reloaded');
      writeFileSync(file, source(2).replace('restore(', 'unrestored('));
      assert.equal((await reloaded).note, 'it has no restore');
      assert.ok(!vm.hypercalls.shared.lines.level(5));
      assert.equal(await registers(), 'version 2');
      await go();
      assert.deepEqual(await values, [0]);
    });

    test('may be a card, which keeps its place and its pin, and refuses another description', async (t) => {
      const { file, go, values, event, vm } = await watched(
        t,
        words,
        [
          [
            ...config(0x10, CARD_MEMORY),
            ...config(0x04, 6),
            readCard(0),
            { ...readCard(4), direction: 'write', value: 7 } as ScriptStep,
          ],
          [readCard(0), readCard(4)],
          [readCard(0), readCard(4)],
        ],
        {},
        cardSource(1),
        'pci:00:05.0',
      );
      const pin = (): boolean => vm.hypercalls.shared.lines.level(pciInterrupt(5, 0));
      await go();
      assert.ok(pin());
      let reloaded = event('device-reloaded');
      writeFileSync(file, cardSource(2));
      assert.ok((await reloaded).isStateCarried);
      assert.ok(pin());
      await go();
      const failed = event('reload-failed');
      writeFileSync(file, cardSource(3, 0x2000));
      assert.match((await failed).message, /^its pci\.bars has changed/);
      assert.ok(pin());
      reloaded = event('device-reloaded');
      writeFileSync(
        file,
        cardSource(3).replace('restore(written: number)', 'set(written: number)').replace('this.restore', 'this.set'),
      );
      assert.equal((await reloaded).note, 'it has no restore');
      // A signal of a card in another thread.
      while (pin()) await host.turn();
      await go();
      assert.deepEqual(await values, [1, 2, 7, 3, 0]);
    });

    test('runs on with the old module if the new one does not load, with the place of the error', async (t) => {
      const { file, go, values, event } = await watched(t, words, [[read()], [read()], [read()]]);
      await go();
      const failures: readonly (readonly [string, RegExp])[] = [
        ['export default class {', /Unexpected token.*\(at .*device\.ts:1:\d+\)$/],
        [source(2, 'static { throw new Error("no"); }'), /no \(at .*device\.ts:\d+:\d+\)$/],
        [source(2, 'name = ""'), /has no name$/],
        ["import './missing.ts';", /missing\.ts/],
      ];
      for (const [text, message] of failures) {
        const failed = event('reload-failed');
        writeFileSync(file, text);
        assert.match((await failed).message, message);
      }
      await go();
      const reloaded = event('device-reloaded');
      writeFileSync(file, source(3));
      await reloaded;
      await go();
      assert.deepEqual(await values, [1, 1, 3]);
    });

    test('comes back after it was removed for being late, also if it was saved while it hung', async (t) => {
      const hanging = source(1).replace(
        'return offset',
        'if (offset === 2) return new Promise(() => {}); return offset',
      );
      const { file, go, values, event, entered } = await watched(
        t,
        words,
        [[read(), read(2)], [read()], [read(2)], [read()]],
        { clientTimeoutMs: 200 },
        hanging,
      );
      const late = event('client-late');
      const done = go();
      await late;
      await done;
      let reloaded = event('device-reloaded');
      writeFileSync(file, `${hanging}// changed`);
      const { isStateCarried, note } = await reloaded;
      assert.deepEqual([isStateCarried, note], [false, 'it had been removed']);
      await go();
      reloaded = event('device-reloaded');
      const hung = go();
      await entered();
      writeFileSync(file, source(2));
      await reloaded;
      await hung;
      await go();
      assert.deepEqual((await values).slice(-1), [2]);
    });
  });

test('a device that threw outside of an access is found again in a stack after its reload', async (t) => {
  const { file, blame, event, go, values } = await watched(t, '', [[read()]]);
  const error = new Error('timer');
  error.stack = `Error: timer\n    at ${file}:3:4`;
  const { vm } = { vm: { emit: () => undefined } as never };
  assert.equal(blame.take(error, vm), true);
  const reloaded = event('device-reloaded');
  writeFileSync(file, source(2));
  await reloaded;
  await go();
  assert.deepEqual(await values, [2]);
  assert.equal(blame.take(error, vm), true);
});

/** Called by the modules of the tests below while they create their device. */
const CREATING = Symbol.for('upcall.test.creating');

for (const [what, place, text, attach] of [
  [
    'device',
    '0x500+4',
    source(1),
    async (vm: UserVm, option: DeviceOption) => new WatchedDevice(vm, option, () => undefined).attach(),
  ],
  ['served card', 'pci', cardSource(1), watchedCard],
] as const)
  test(`a ${what} whose file is saved while it is created is reloaded then`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'upcall-creating-'));
    const serviceVm = new ServiceVm(new ScriptedHypervisor([{ steps: [] }]));
    t.after(async () => {
      await serviceVm.close();
      rmSync(folder, { recursive: true });
      Reflect.deleteProperty(globalThis, CREATING);
    });
    const vm = await serviceVm.createUserVm({ memoryMiB: 1 });
    const [creating, release, noticed] = [new Deferred<void>(), new Deferred<void>(), new Deferred<void>()];
    Reflect.set(globalThis, CREATING, () => {
      creating.resolve();
      return release.promise;
    });
    const slow = `${text.replace('export default class', 'class Test')}
export default async (context: any) => {
  await (globalThis as any)[Symbol.for('upcall.test.creating')]();
  return new (Test as any)(context);
};`;
    const file = join(folder, 'device.ts');
    writeFileSync(join(folder, 'part.ts'), 'export const plus = 0;');
    writeFileSync(file, slow);
    const attaching = attach(vm, parseDevice(`${file}@${place}`));
    await creating.promise;
    const schedule = vm.clock.schedule.bind(vm.clock);
    t.mock.method(vm.clock, 'schedule', (atMs: number, callback: () => void) =>
      schedule(atMs, () => {
        callback();
        noticed.resolve();
      }),
    );
    writeFileSync(file, `${text}// saved`);
    await noticed.promise;
    const kinds: string[] = [];
    const reloaded = new Promise<void>((resolve) => {
      vm.onEvent(({ kind }) => {
        kinds.push(kind);
        if (kind === 'device-reloaded') resolve();
      });
    });
    release.resolve();
    await attaching;
    await reloaded;
    assert.deepEqual(kinds, ['device-reloaded']);
  });
