import assert from 'node:assert/strict';
import { test } from 'node:test';
import { host } from '../../host/current.js';
import { GuestMemory } from '../../hypervisor/guest-memory.js';
import { ManualClock } from '../clock.js';
import type { Device, InterruptLine } from '../device.js';
import type { CardHandle, PciCard } from '../pci/pci-card.js';
import type { DeviceContext } from '../placement/device-module.js';
import { DeviceReloader } from './device-reloader.js';
import { Gate } from './gate.js';
import { gatedContext } from './gated-context.js';
import type { Reloaded, Reloadable } from './generation.js';
import type { ReloadOutcome } from './reload-observer.js';
import { ReloadableCard } from './reloadable-card.js';
import { ReloadableDevice } from './reloadable-device.js';
import { SharedOutputs } from './shared-outputs.js';

type Make<T> = (context: DeviceContext) => T | Promise<T>;

/** The machine of one device, what it sees, and a module that the test replaces. */
class Machine<T extends Reloaded> {
  readonly clock = new ManualClock();
  readonly memory = new GuestMemory({ buffer: new SharedArrayBuffer(64), byteOffset: 0, byteLength: 64 });
  /** Each change of line 5. */
  readonly line: boolean[] = [];
  readonly outcomes: ReloadOutcome[] = [];
  readonly closeErrors: unknown[] = [];
  next: Make<T>;
  #ended: () => void = () => undefined;
  readonly #outputs = new SharedOutputs(() => ({ set: (high) => void this.line.push(high) }));
  #reloader: DeviceReloader<T> | undefined;

  constructor(first: Make<T>) {
    this.next = first;
  }

  async create(gate: Gate): Promise<T> {
    const interruptLine = (gsi: number): InterruptLine => this.#outputs.output(gsi);
    return this.next(gatedContext({ interruptLine, memory: this.memory, clock: this.clock }, this.#outputs, gate));
  }

  async load<R extends Reloadable<T>>(make: (first: { device: T; gate: Gate }) => R): Promise<R> {
    const gate = new Gate();
    const device = await this.create(gate);
    gate.open();
    const target = make({ device, gate });
    this.#reloader = new DeviceReloader<T>({
      target,
      create: (next) => this.create(next),
      onOutcome: (outcome) => {
        this.outcomes.push(outcome);
        this.#ended();
      },
      onCloseError: (error) => this.closeErrors.push(error),
    });
    return target;
  }

  /** Starts a reload. */
  begin(next?: Make<T>): void {
    if (next !== undefined) this.next = next;
    this.#reloader?.reload();
  }

  /** Resolves with the outcome of a reload. */
  async reload(next?: Make<T>): Promise<ReloadOutcome | undefined> {
    const ended = new Promise<void>((resolve) => (this.#ended = resolve));
    this.begin(next);
    await ended;
    return this.outcomes.at(-1);
  }
}

const device = (members: Partial<Device> & { readonly value?: number } = {}): Device => ({
  name: 'test',
  read: () => members.value ?? 0,
  write: () => undefined,
  ...members,
});

function machineOf(first: Make<Device>): { machine: Machine<Device>; loaded: Promise<ReloadableDevice> } {
  const machine = new Machine<Device>(first);
  return { machine, loaded: machine.load((generation) => new ReloadableDevice(generation)) };
}

/** Turns of the event loop after which a reload without open accesses has ended. */
async function turns(count = 3): Promise<void> {
  for (let turn = 0; turn < count; turn++) await host.turn();
}

test('accesses reach the new device after a reload, and the old one is closed', async () => {
  const calls: string[] = [];
  const { machine, loaded } = machineOf(() => device({ value: 1, close: () => void calls.push('closed') }));
  const target = await loaded;
  assert.equal(target.read(0, 1), 1);
  const outcome = await machine.reload(() => device({ value: 2 }));
  assert.deepEqual(outcome, { kind: 'reloaded', isStateCarried: false, note: 'it had no save' });
  assert.equal(target.read(0, 1), 2);
  assert.deepEqual(calls, ['closed']);
});

test('the exchange waits for an open access, and the answer is that of the old device', async () => {
  let answer: (value: number) => void = () => undefined;
  const { machine, loaded } = machineOf(() =>
    device({ read: () => new Promise<number>((resolve) => (answer = resolve)) }),
  );
  const target = await loaded;
  const open = target.read(0, 1);
  machine.begin(() => device({ value: 2 }));
  await turns(10);
  assert.deepEqual(machine.outcomes, []);
  const ended = machine.reload();
  answer(1);
  assert.equal(await open, 1);
  await ended;
  assert.equal(machine.outcomes.length, 1, 'two saves during one wait are one reload');
  assert.equal(target.read(0, 1), 2);
});

test('the exchange is not between the two halves of an access of 8 bytes', async () => {
  const halves: number[] = [];
  let answer: () => void = () => undefined;
  const { machine, loaded } = machineOf(() =>
    device({
      read: (offset) => {
        halves.push(offset);
        return offset === 0 ? new Promise<number>((resolve) => (answer = () => resolve(0))) : offset;
      },
    }),
  );
  const target = await loaded;
  const wide = (async () => {
    const low = await target.read(0, 4);
    // However many promises are between them.
    for (let count = 0; count < 20; count++) await Promise.resolve();
    return [low, await target.read(4, 4)];
  })();
  const ended = machine.reload(() => device({ value: 99 }));
  await turns(10);
  answer();
  assert.deepEqual(await wide, [0, 4]);
  await ended;
  assert.deepEqual(halves, [0, 4]);
  assert.equal(target.read(0, 4), 99);
});

test('a rejected promise ends the wait as well', async () => {
  const { machine, loaded } = machineOf(() => device({ write: () => Promise.reject(new Error('no')) }));
  const target = await loaded;
  const open = target.write(0, 1, 0);
  const ended = machine.reload(() => device());
  await assert.rejects(async () => open, { message: 'no' });
  assert.equal((await ended)?.kind, 'reloaded');
});

test('the line of the old device goes low at the exchange, and its late interrupt is dropped', async () => {
  let line: { set(high: boolean): void } | undefined;
  const raising: Make<Device> = (context) => {
    line = context.interruptLine(5);
    line.set(true);
    return device();
  };
  const { machine, loaded } = machineOf(raising);
  await loaded;
  assert.deepEqual(machine.line, [true]);
  await machine.reload((context) => {
    context.interruptLine(5);
    return device();
  });
  assert.deepEqual(machine.line, [true, false]);
  line?.set(false);
  line?.set(true);
  assert.deepEqual(machine.line, [true, false]);
});

test('a line that both generations hold high stays high', async () => {
  const raising: Make<Device> = (context) => {
    context.interruptLine(5).set(true);
    return device();
  };
  const { machine, loaded } = machineOf(raising);
  await loaded;
  await machine.reload(raising);
  assert.deepEqual(
    machine.line.filter((high) => !high),
    [],
  );
});

test('a new device drives no line, and no memory of the old one, before the exchange', async () => {
  let answer: (value: number) => void = () => undefined;
  const { machine, loaded } = machineOf(() =>
    device({ read: () => new Promise<number>((resolve) => (answer = resolve)) }),
  );
  const target = await loaded;
  const open = target.read(0, 1);
  const ended = machine.reload((context) => {
    context.interruptLine(5).set(true);
    return device();
  });
  await turns(10);
  assert.deepEqual(machine.line, []);
  answer(0);
  await open;
  await ended;
  assert.deepEqual(machine.line, [true]);
});

test('timers and memory writes of the old device end with it', async () => {
  const fired: string[] = [];
  let old: DeviceContext | undefined;
  const { machine, loaded } = machineOf((context) => {
    old = context;
    context.clock.schedule(10, () => fired.push('old'));
    return device();
  });
  await loaded;
  old?.memory.writeU8(0, 1);
  await machine.reload(({ clock }) => {
    clock.schedule(10, () => fired.push('new'));
    return device();
  });
  machine.clock.advance(20);
  assert.deepEqual(fired, ['new']);
  old?.clock.schedule(30, () => fired.push('late'));
  old?.memory.writeU8(0, 2);
  old?.memory.write(0, Uint8Array.of(2));
  old?.memory.fill(2);
  machine.clock.advance(20);
  assert.deepEqual(fired, ['new']);
  assert.equal(machine.memory.readU8(0), 1);
  assert.equal(machine.clock.pending, 0);
});

test('the state is carried as a copy, and only to the same version', async () => {
  const state = { count: 7 };
  const restored: unknown[] = [];
  const withState =
    (stateVersion?: number): Make<Device> =>
    () =>
      device({
        save: () => state,
        restore: (saved) => void restored.push(saved),
        ...(stateVersion === undefined ? {} : { stateVersion }),
      });
  const { machine, loaded } = machineOf(withState());
  await loaded;
  assert.deepEqual(await machine.reload(), { kind: 'reloaded', isStateCarried: true });
  assert.deepEqual(restored, [{ count: 7 }]);
  assert.notEqual(restored[0], state);
  const outcome = await machine.reload(withState(2));
  assert.deepEqual(outcome, {
    kind: 'reloaded',
    isStateCarried: false,
    note: 'its state is of version 2, and was of version undefined',
  });
  assert.equal((await machine.reload(() => device({ save: () => () => 0 })))?.kind, 'reloaded');
  assert.match(((await machine.reload(withState())) as { note: string }).note, /^the save of the old one failed: /);
  assert.deepEqual(await machine.reload(() => device()), {
    kind: 'reloaded',
    isStateCarried: false,
    note: 'it has no restore',
  });
  assert.equal(restored.length, 1);
});

test('what fails leaves the old device running: loading, creating, restoring', async () => {
  const closed: string[] = [];
  const { machine, loaded } = machineOf(() =>
    device({ value: 1, save: () => 1, close: () => void closed.push('old') }),
  );
  const target = await loaded;
  const failing: readonly (readonly [Make<Device>, string])[] = [
    [() => Promise.reject(new Error('does not load')), 'does not load'],
    [
      (context) =>
        device({
          restore: () => {
            context.interruptLine(5).set(true);
            throw new Error('does not restore');
          },
          close: () => {
            closed.push('new');
            throw new Error('does not close');
          },
        }),
      'does not restore',
    ],
  ];
  for (const [next, message] of failing) {
    const outcome = await machine.reload(next);
    assert.ok(outcome?.kind === 'failed' && outcome.message === message && outcome.stack !== undefined);
    assert.equal(target.read(0, 1), 1);
  }
  assert.deepEqual(closed, ['new']);
  assert.equal(machine.closeErrors.length, 1);
  assert.deepEqual(machine.line, []);
  assert.equal((await machine.reload(() => device({ value: 2 })))?.kind, 'reloaded');
  assert.equal(target.read(0, 1), 2);
});

test('a save during the load makes the first module void: the last one counts', async () => {
  const { machine, loaded } = machineOf(() => device({ value: 1, save: () => 'of 1' }));
  const target = await loaded;
  let load: (made: Device) => void = () => undefined;
  const closed: number[] = [];
  machine.begin(() => new Promise<Device>((resolve) => (load = resolve)));
  const restored: unknown[] = [];
  const ended = machine.reload(() => device({ value: 3, restore: (state) => void restored.push(state) }));
  load(device({ value: 2, close: () => void closed.push(2) }));
  await ended;
  assert.equal(machine.outcomes.length, 1);
  assert.equal(target.read(0, 1), 3);
  assert.deepEqual([closed, restored], [[2], ['of 1']]);
});

test('the device that is removed ends the wait, and nothing is reported', async () => {
  const { machine, loaded } = machineOf(() => device({ read: () => new Promise<number>(() => undefined) }));
  const target = await loaded;
  void target.read(0, 1);
  let closed = 0;
  const close = (): void => {
    closed++;
  };
  machine.begin(() => device({ close }));
  await turns();
  target.close();
  await turns();
  assert.equal(closed, 1);
  assert.deepEqual(machine.outcomes, []);
});

test('a device has peek, registers, save and restore as its current class has them', async () => {
  const registers = { source: 'test', registers: [] };
  const { machine, loaded } = machineOf(() => device());
  const target = await loaded;
  assert.deepEqual([target.peek, target.registers, target.save, target.restore], Array.from({ length: 4 }));
  await machine.reload(() => device({ registers, peek: () => 5, save: () => 6, restore: () => undefined }));
  assert.equal(target.registers, registers);
  assert.deepEqual([target.peek?.(0, 1), target.save?.()], [5, 6]);
});

const PCI = { vendor: 1, device: 2, class: 3, bars: [{ type: 'memory', size: 4096 }], msix: 2 } as const;

const card = (members: Partial<PciCard> = {}): PciCard => ({
  name: 'card',
  pci: PCI,
  read: () => 0,
  write: () => undefined,
  ...members,
});

/** A handle that records what reaches the function. */
function recorded(): { handle: CardHandle; log: string[] } {
  const log: string[] = [];
  const memory = new GuestMemory({ buffer: new SharedArrayBuffer(16), byteOffset: 0, byteLength: 16 });
  const handle: CardHandle = {
    address: { bus: 0, device: 1, function: 0 },
    memory,
    isBusMaster: true,
    isMsixEnabled: false,
    dma: {
      refused: 0,
      read: (_, length) => new Uint8Array(length),
      readInto: () => true,
      write: () => {
        log.push('dma');
        return true;
      },
    },
    interrupt: (vector = 0) => void log.push(`interrupt ${vector}`),
    raise: () => void log.push('raise'),
    lower: () => void log.push('lower'),
    report: (message) => void log.push(message),
  };
  return { handle, log };
}

async function loadedCard(first: PciCard): Promise<{ machine: Machine<PciCard>; target: ReloadableCard }> {
  const machine = new Machine<PciCard>(() => first);
  return { machine, target: await machine.load((generation) => new ReloadableCard(generation)) };
}

test('a card is connected again, and the handle of the old one has no effect any more', async () => {
  const handles: CardHandle[] = [];
  const connect = (handle: CardHandle): void => void handles.push(handle);
  const { machine, target } = await loadedCard(card({ connect }));
  const { handle, log } = recorded();
  target.connect(handle);
  handles[0]?.raise();
  assert.deepEqual(log.splice(0), ['raise']);
  assert.equal((await machine.reload(() => card({ connect })))?.kind, 'reloaded');
  assert.deepEqual(log.splice(0), ['lower']);
  const [old, current] = handles as [CardHandle, CardHandle];
  old.raise();
  old.lower();
  old.interrupt();
  old.report('late');
  assert.equal(old.dma.write(0, Uint8Array.of(1)), false);
  assert.equal(old.dma.read(0, 1), undefined);
  assert.equal(old.dma.readInto(0, new Uint8Array(1)), false);
  assert.equal(old.isBusMaster, false);
  old.memory.writeU8(0, 1);
  assert.equal(handle.memory.readU8(0), 0);
  assert.deepEqual(log, []);
  current.interrupt(1);
  assert.equal(current.dma.write(0, Uint8Array.of(1)), true);
  assert.throws(() => current.interrupt(2), RangeError);
  assert.deepEqual(log, ['interrupt 1', 'dma']);
});

test('a card that raises its pin while it is restored holds it high, and one that fails leaves it', async () => {
  let old: CardHandle | undefined;
  const { machine, target } = await loadedCard(card({ connect: (handle) => void (old = handle), save: () => 1 }));
  const { handle, log } = recorded();
  target.connect(handle);
  // Without messages this raises the pin.
  old?.interrupt();
  log.length = 0;
  const failing = (handleOfNext: CardHandle): void => {
    handleOfNext.raise();
    throw new Error('does not connect');
  };
  assert.equal((await machine.reload(() => card({ connect: failing })))?.kind, 'failed');
  assert.deepEqual(log, [], 'the pin is that of the old card');
  let next: CardHandle | undefined;
  await machine.reload(() =>
    card({
      connect: (handleOfNext) => void (next = handleOfNext),
      restore: () => {
        next?.raise();
        next?.interrupt(1);
      },
    }),
  );
  assert.deepEqual(log.splice(0), ['raise', 'interrupt 1']);
  next?.lower();
  assert.deepEqual(log, ['lower']);
});

test('a card whose description has changed is refused, with the member that has', async () => {
  const { machine, target } = await loadedCard(card({ read: () => 1 }));
  const changes: readonly (readonly [Partial<PciCard>, RegExp])[] = [
    [{ pci: { ...PCI, bars: [{ type: 'memory', size: 8192 }] } }, /^its pci\.bars has changed/],
    [{ pci: { ...PCI, interruptPin: 'A' } }, /^its pci\.interruptPin has changed/],
    [{ pci: { ...PCI, capabilities: [{ id: 9, bytes: Uint8Array.of(1) }] } }, /^its pci\.capabilities has changed/],
    [{ doorbells: [{ bar: 0, offset: 0 }] }, /^its doorbells have changed/],
  ];
  for (const [members, reason] of changes) {
    const outcome = await machine.reload(() => card(members));
    assert.ok(outcome?.kind === 'failed');
    assert.match(outcome.message, reason);
    assert.equal(target.read(0, 0, 1), 1);
  }
  assert.equal((await machine.reload(() => card({ pci: structuredClone(PCI), doorbells: [] })))?.kind, 'reloaded');
  const withCapability = (bytes: Uint8Array | number[]): PciCard =>
    card({ pci: { ...PCI, capabilities: [{ id: 9, bytes }] } });
  const other = await loadedCard(withCapability([1, 2]));
  assert.equal((await other.machine.reload(() => withCapability(Uint8Array.of(1, 2))))?.kind, 'reloaded');
});
