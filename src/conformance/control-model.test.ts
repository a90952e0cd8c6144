import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Errno } from '../hsm/control/errno.js';
import { Ioctl } from '../hsm/control/ioctl-codes.js';
import { LocalEvent } from '../hsm/event-object.js';
import { ControlCaller } from './control-caller.js';

const READ = 0;
const FREE = 3;
const PROCESSING = 2;
const COMPLETE = 1;
const PENDING = 0;
const VCPUS = 3;
const EVENT_PORT = 0x2000;

/** One call, as a line that can be read: `notify 2 0`. */
type Call = readonly [name: string, ...numbers: number[]];

/** What the driver answers, from its specification, for one file. `waits` stands for an ATTACH that blocks. */
class FileModel {
  vm: 'none' | 'created' | 'running' | 'paused' = 'none';
  hasClient = false;
  states = new Array<number>(VCPUS).fill(FREE);
  /** Slots that the default client was given. */
  owned = new Set<number>();
  /** Registered ioeventfds: event and address, oldest first. */
  ioEvents: { event: number; address: number }[] = [];
  irqEvents = new Set<number>();
  signals = [0, 0];

  answer([name, a = 0, b = 0]: Call): number | 'waits' {
    if (name === 'create') return this.#create();
    if (this.vm === 'none') return Errno.EINVAL;
    switch (name) {
      case 'start':
        return this.#move('created', 'running');
      case 'pause':
        this.vm = 'paused';
        return 0;
      case 'reset':
        if (this.vm !== 'paused') return Errno.EPERM;
        this.states.fill(FREE);
        this.owned.clear();
        return this.#move('paused', 'created');
      case 'destroy':
        return this.#move('paused', 'none');
      case 'client':
        if (this.hasClient) return Errno.EEXIST;
        this.hasClient = true;
        return 0;
      case 'unclient':
        if (this.hasClient) this.#finishOwned();
        this.hasClient = false;
        this.#dispatch();
        return 0;
      case 'attach':
        if (!this.hasClient) return Errno.ENODEV;
        return this.owned.size > 0 ? 0 : 'waits';
      case 'notify':
        if (b !== 0) return Errno.EINVAL;
        if (!this.hasClient) return 0;
        if (a % 65536 >= VCPUS) return Errno.EINVAL;
        if (this.owned.delete(a % 65536)) this.states[a % 65536] = COMPLETE;
        return 0;
      case 'clear':
        if (this.hasClient) this.#finishOwned();
        return 0;
      case 'ioevent': {
        if (this.ioEvents.some(({ event, address }) => event === a && address === EVENT_PORT + b)) return Errno.EEXIST;
        this.ioEvents.push({ event: a, address: EVENT_PORT + b });
        return 0;
      }
      case 'unioevent': {
        const at = this.ioEvents.findIndex(({ event }) => event === a);
        if (at >= 0) this.ioEvents.splice(at, 1);
        return 0;
      }
      case 'irq':
        if (this.irqEvents.has(a)) return Errno.EBUSY;
        this.irqEvents.add(a);
        return 0;
      case 'unirq':
        this.irqEvents.delete(a);
        return 0;
      case 'line':
        return a < 48 ? 0 : Errno.EPERM;
      default:
        return Errno.ENOTTY;
    }
  }

  /** A guest's OUT of one byte; false when the slot is not FREE. */
  write(vcpu: number, port: number): boolean {
    if (this.states[vcpu] !== FREE) return false;
    this.states[vcpu] = PENDING;
    this.#ports.set(vcpu, port);
    this.#dispatch();
    return true;
  }

  release(vcpu: number): boolean {
    if (this.states[vcpu] !== COMPLETE) return false;
    this.states[vcpu] = FREE;
    return true;
  }

  readonly #ports = new Map<number, number>();

  #create(): number {
    if (this.vm !== 'none') return Errno.EINVAL;
    this.states.fill(FREE);
    this.vm = 'created';
    return 0;
  }

  #move(from: FileModel['vm'], to: FileModel['vm']): number {
    if (this.vm !== from) return Errno.EPERM;
    this.vm = to;
    if (to === 'none') {
      this.hasClient = false;
      this.owned.clear();
      this.ioEvents = [];
      this.irqEvents.clear();
    }
    return 0;
  }

  #dispatch(): void {
    for (let vcpu = 0; vcpu < VCPUS; vcpu++) {
      if (this.states[vcpu] !== PENDING) continue;
      const port = this.#ports.get(vcpu) ?? 0;
      const match = this.ioEvents.find(({ address }) => address === port);
      if (match !== undefined) {
        this.signals[match.event] = (this.signals[match.event] ?? 0) + 1;
        this.states[vcpu] = COMPLETE;
      } else if (this.hasClient) {
        this.states[vcpu] = PROCESSING;
        this.owned.add(vcpu);
      } else return;
    }
  }

  #finishOwned(): void {
    for (const vcpu of this.owned) this.states[vcpu] = COMPLETE;
    this.owned.clear();
  }
}

const call = (name: string, ...numbers: fc.Arbitrary<number>[]): fc.Arbitrary<Call> =>
  fc.tuple(...numbers).map((values) => [name, ...values]);
const event = fc.nat(1);
const offset = fc.nat(2);
const program = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: call('create') },
    { weight: 2, arbitrary: call('start') },
    { weight: 1, arbitrary: call('pause') },
    { weight: 1, arbitrary: call('reset') },
    { weight: 1, arbitrary: call('destroy') },
    { weight: 3, arbitrary: call('client') },
    { weight: 1, arbitrary: call('unclient') },
    { weight: 3, arbitrary: call('attach') },
    {
      weight: 5,
      arbitrary: call('notify', fc.constantFrom(0, 1, 2, 3, 16, 65536, 65538), fc.constantFrom(0, 0, 0, 1)),
    },
    { weight: 1, arbitrary: call('clear') },
    { weight: 3, arbitrary: call('ioevent', event, offset) },
    { weight: 1, arbitrary: call('unioevent', event) },
    { weight: 2, arbitrary: call('irq', event) },
    { weight: 1, arbitrary: call('unirq', event) },
    { weight: 1, arbitrary: call('line', fc.constantFrom(0, 47, 48, 1000)) },
    { weight: 1, arbitrary: call('unknown') },
    { weight: 8, arbitrary: call('write', fc.nat(VCPUS - 1), fc.nat(3)) },
    { weight: 5, arbitrary: call('release', fc.nat(VCPUS - 1)) },
  ),
  { minLength: 5, maxLength: 80, size: 'max' },
);

class Subject {
  readonly caller = new ControlCaller({ vcpuCount: VCPUS });
  readonly events = [new LocalEvent(), new LocalEvent()];
  readonly fds = this.events.map((one) => this.caller.events.open(one));

  async answer([name, a = 0, b = 0]: Call): Promise<number | 'waits'> {
    const { caller, fds } = this;
    const { file } = caller;
    const plain = { start: Ioctl.START_VM, pause: Ioctl.PAUSE_VM, reset: Ioctl.RESET_VM, destroy: Ioctl.DESTROY_VM };
    const fd = fds[a] ?? -1;
    switch (name) {
      case 'create':
        return (await caller.create()).result;
      case 'client':
        return file.ioctl(Ioctl.CREATE_IOREQ_CLIENT);
      case 'unclient': {
        const result = await file.ioctl(Ioctl.DESTROY_IOREQ_CLIENT);
        caller.device.module.worker.pass();
        return result;
      }
      case 'attach': {
        const controller = new AbortController();
        const result = file.ioctl(Ioctl.ATTACH_IOREQ_CLIENT, 0, controller.signal);
        controller.abort();
        return typeof result === 'number' ? result : 'waits';
      }
      case 'notify':
        return caller.notify({ vcpu: a, reserved: b });
      case 'clear':
        return file.ioctl(Ioctl.CLEAR_VM_IOREQ);
      case 'ioevent':
        return caller.ioeventfd({ fd, flags: 1, addr: EVENT_PORT + b, len: 1 });
      case 'unioevent':
        return caller.ioeventfd({ fd, flags: 4 });
      case 'irq':
        return caller.irqfd({ fd, 'msi.msi_addr': 0xfee0_0000, 'msi.msi_data': 0x41 });
      case 'unirq':
        return caller.irqfd({ fd, flags: 1 });
      case 'line':
        return file.ioctl(Ioctl.SET_IRQLINE, a);
      default:
        return file.ioctl(name in plain ? plain[name as keyof typeof plain] : 0xa2ee);
    }
  }
}

test('random programs: an open file answers as the model of the driver does', async () => {
  const answers = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(program, async (calls) => {
      const model = new FileModel();
      const subject = new Subject();
      for (const one of calls) {
        const [name, a = 0, b = 0] = one;
        if (name === 'write' || name === 'release') {
          if (model.vm === 'none') continue;
          const slot = subject.caller.vm.buffer.slot(a);
          if (name === 'release') assert.equal(slot.release(), model.release(a), one.join(' '));
          else {
            // A pass also serves what waited; the model looks again at the same moments.
            if (model.states[a] !== FREE) continue;
            subject.caller.port(a, READ + 1, EVENT_PORT + b, 1);
            model.write(a, EVENT_PORT + b);
          }
        } else {
          const expected = model.answer(one);
          assert.equal(await subject.answer(one), expected, one.join(' '));
          answers.set(`${name} ${expected}`, (answers.get(`${name} ${expected}`) ?? 0) + 1);
        }
        if (model.vm === 'none') continue;
        const { slots } = subject.caller.vm.buffer;
        assert.deepEqual(
          slots.slice(0, VCPUS).map(({ state }) => state),
          model.states,
          `after ${one.join(' ')}`,
        );
      }
      assert.deepEqual(
        subject.events.map((one) => Number(one.read())),
        model.signals,
      );
    }),
    { numRuns: 400 },
  );
  for (const seen of [
    'create 0',
    'attach 0',
    'attach waits',
    'attach -19',
    'notify 0',
    'notify -22',
    'reset 0',
    'destroy 0',
    'ioevent -17',
    'irq -16',
    'unknown -25',
  ])
    assert.ok(answers.has(seen), `never seen: ${seen}`);
});
