/** The benches and checks of `upcall/testing`, on examples and on devices with one fault each. */

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { AccessSize, Device } from '../device-model/device.js';
import type { DeviceContext } from '../device-model/placement/device-module.js';
import type { PciCard, CardHandle } from '../device-model/pci/pci-card.js';
import type { RegisterMap } from '../device-model/register-map.js';
import {
  cardBench,
  checkRegisters,
  deviceBench,
  findFailingProgram,
  parseProgram,
  play,
  programText,
  RegisterCoverage,
  type Bench,
} from './index.js';

const example = (name: string): string => new URL(`../../examples/devices/${name}.js`, import.meta.url).href;

/**
 * CONTROL at 0 (rw, bit 0), STATUS at 4 (bit 0 w1c, bit 1 rc), ID at 8. A write of 3 to CONTROL
 * sets both flags.
 */
class Sound implements Device {
  readonly name: string = 'sound';
  readonly registers: RegisterMap = {
    source: 'this test',
    registers: [
      {
        offset: 0,
        size: 4,
        name: 'CONTROL',
        access: 'rw',
        meaning: 'control',
        reset: 0,
        fields: [
          {
            bits: [0, 0],
            name: 'ENABLE',
            meaning: 'on',
            access: 'rw',
            values: [{ value: 1, name: 'ON', meaning: 'on' }],
          },
        ],
      },
      {
        offset: 4,
        size: 4,
        name: 'STATUS',
        access: 'rw',
        meaning: 'status',
        reset: 0,
        fields: [
          { bits: [0, 0], name: 'DONE', meaning: 'done', access: 'w1c' },
          { bits: [1, 1], name: 'LOST', meaning: 'lost', access: 'rc' },
        ],
      },
      { offset: 8, size: 4, name: 'ID', access: 'r', meaning: 'identity', reset: 0x1234 },
    ],
  };
  control = 0;
  status = 0;
  readonly context: DeviceContext;

  constructor(context: DeviceContext) {
    this.context = context;
  }

  read(offset: number, size: AccessSize): number {
    const value = this.peek(offset, size) ?? -1;
    if (offset === 4 && size === 4) this.status &= ~2;
    return value;
  }

  peek(offset: number, size: AccessSize): number | undefined {
    if (size !== 4) return -1;
    return offset === 0 ? this.control : offset === 4 ? this.status : offset === 8 ? 0x1234 : -1;
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (size !== 4) return;
    if (offset === 0) {
      this.control = value & 1;
      if ((value & 2) !== 0) this.status = 3;
    } else if (offset === 4) this.status &= ~(value & 1);
  }

  reset(): void {
    this.control = this.status = 0;
  }
}

const PREPARE = 'write(CONTROL,3)';
const benchOf = (device: new (context: DeviceContext) => Device) => (): Promise<Bench> =>
  deviceBench(device, { length: 16, memoryBytes: 4096 });

describe('a bench', () => {
  test('has the device of a module, with lines, clock and options', async () => {
    const bench = await deviceBench(example('countdown'), { length: 8, options: { line: 7 } });
    assert.deepEqual(await play(bench, 'write(MS,10) wait(9ms) read(MS)=1 peek(STATUS)=0 line(7)=0'), [1, 0]);
    await play(bench, 'wait(1ms) peek(STATUS)=1 line(7)=1 read(STATUS)=1 line(7)=0 raised(7)=1 raised()=1 line(5)=0');
    assert.equal(bench.interruptMoves, 2);
    bench.close();
  });

  test('has a card with its BARs placed, memory and messages', async () => {
    const bench = await cardBench(example('copier'));
    await play(bench, 'store(0x1000,4,0x12345678) write(0:0x0,4,0x1000) write(0:0x4,4,0x2000) write(0:0x8,4,4)');
    await play(bench, 'write(0:0xc,4,1) wait(1ms) load(0x2000,4)=0x12345678 raised()=1');
    assert.deepEqual(
      bench.function.bars.map(({ place }) => place !== undefined),
      [true, true],
    );
    bench.reset();
    await play(
      bench,
      'store(0x1004,4,7) write(0:0x0,4,0x1004) write(0:0x4,4,0x2004) write(0:0x8,4,4) write(0:0xc,4,1)',
    );
    await play(bench, 'load(0x2004,4)=7');
    bench.close();
  });

  test('has lines that are high while one of their outputs is', async () => {
    const bench = await deviceBench(
      (context) => {
        const outputs = [context.interruptLine(5), context.interruptLine(5)];
        return { name: 'x', read: () => 0, write: (offset, _size, value) => outputs[offset]?.set(value === 1) };
      },
      { length: 2 },
    );
    await play(bench, 'write(0,1,1) write(1,1,1) write(0,1,0) line(5)=1 raised(5)=1 write(1,1,0) line(5)=0');
    assert.equal(bench.interruptMoves, 2);
  });

  test('cuts values as a guest sees them, and rejects what none could', async () => {
    const device = { name: 'x', read: (offset: number) => (offset === 0 ? -1 : NaN), write: () => undefined };
    const bench = await deviceBench(() => device, { length: 4 });
    assert.equal(await bench.read(0, 2), 0xffff);
    await assert.rejects(bench.read(1, 1), { name: 'TypeError', message: /NaN/ });
    await assert.rejects(
      deviceBench(() => device, { length: 0 }),
      RangeError,
    );
    await assert.rejects(deviceBench(pathToFileURL('/nothing.js').href, { length: 1 }), {
      code: 'DEVICE_MODULE_INVALID',
    });
  });
});

describe('a program', () => {
  const { registers } = new Sound({} as DeviceContext);

  test('reads as it is written', () => {
    const text =
      'write(CONTROL,0x1) write(0x2,1,0xff) write(1:0x10,4,0x0) read(STATUS) read(0x4,4)=0x1 read(ID)=0x34/0xff ' +
      'peek(ID)=0x1234 wait(9ms) wait(5us) line(5)=0x1 line()=0x0 raised(0)=0x2 store(0x100,4,0x5) load(0x100,2)=0x5 reset()';
    assert.equal(programText(parseProgram(text, registers)), text);
    assert.deepEqual(parseProgram('  # nothing\n', registers), []);
  });

  for (const [text, message] of [
    ['read(0)', /read\(0\) names no register. Known: CONTROL, STATUS, ID/],
    ['read(0,3)', /size that is not 1, 2 or 4/],
    ['write(CONTROL)', /has 1 arguments/],
    ['write(CONTROL,1)=1', /returns nothing/],
    ['read(CONTROL)=x', /"x" where a number of 32 bits belongs/],
    ['write(CONTROL,0x100000000)', /number of 32 bits/],
    ['wait(5)', /no time such as/],
    ['line(5)', /needs a value/],
    ['poke(1)', /is not write, read/],
    ['read CONTROL', /read is not a call/],
    ['reset(1)', /has 1 arguments/],
  ] as const)
    test(`${text} is refused with its reason`, () => {
      assert.throws(() => parseProgram(text, registers), { code: 'OPTION_INVALID', message });
    });

  test('stops at the first step that is not as expected, and says what came before', async () => {
    const bench = await benchOf(Sound)();
    await assert.rejects(play(bench, 'write(CONTROL,1) read(CONTROL)=0/0x1 read(ID)'), {
      name: 'PlayError',
      step: 1,
      message: 'sound: read(CONTROL)=0x0/0x1, but it is 0x1, after write(CONTROL,0x1)',
    });
    const thrower = await deviceBench(
      () => ({ name: 'x', read: () => assert.fail('broken'), write: () => undefined }),
      { length: 1 },
    );
    await assert.rejects(play(thrower, 'read(0,1)'), {
      name: 'PlayError',
      step: 0,
      message: /read\(0x0,1\) failed: broken/,
    });
  });
});

describe('checkRegisters', () => {
  test('finds nothing in a device that is as its map says', async () => {
    assert.deepEqual(await checkRegisters(benchOf(Sound), { prepare: PREPARE }), { findings: [], unchecked: [] });
  });

  test('names the flags that were never set', async () => {
    assert.deepEqual(await checkRegisters(benchOf(Sound)), {
      findings: [],
      unchecked: ['STATUS.DONE is not set after prepare', 'STATUS.LOST is not set after prepare'],
    });
  });

  const faults: readonly (readonly [what: string, device: new (context: DeviceContext) => Device, finding: RegExp])[] =
    [
      [
        'a reset value',
        class extends Sound {
          override control = 1;
        },
        /CONTROL: it is 0x1 when new, the map says 0x0/,
      ],
      [
        'a peek with an effect',
        class extends Sound {
          override peek(...at: [number, AccessSize]) {
            const value = super.peek(...at);
            this.status = 0;
            return value;
          }
        },
        /CONTROL: a peek changes STATUS/,
      ],
      [
        'a peek that moves a line',
        class extends Sound {
          override peek(...at: [number, AccessSize]) {
            this.context.interruptLine(5).set(at[0] === 8);
            return super.peek(...at);
          }
        },
        /a peek moves an interrupt/,
      ],
      [
        'a peek that differs from the read',
        class extends Sound {
          override read(...at: [number, AccessSize]) {
            return at[0] === 8 ? 5 : super.read(...at);
          }
        },
        /ID: a peek gives 0x1234, the read after it 0x5/,
      ],
      [
        'a read-only register that is written',
        class extends Sound {
          id = 0x1234;
          override peek(...at: [number, AccessSize]) {
            return at[0] === 8 && at[1] === 4 ? this.id : super.peek(...at);
          }
          override write(...at: [number, AccessSize, number]) {
            if (at[0] === 8) this.id = at[2];
            else super.write(...at);
          }
          override reset() {
            super.reset();
            this.id = 0x1234;
          }
        },
        /ID: write\(ID,0xffffffff\) changes read-only bits/,
      ],
      [
        'a write to a read-only register with an effect',
        class extends Sound {
          override write(...at: [number, AccessSize, number]) {
            if (at[0] === 8) this.control ^= 1;
            else super.write(...at);
          }
        },
        /ID: it is read-only, and a write of 0xffffffff changes a register/,
      ],
      [
        'reserved bits that follow',
        class extends Sound {
          override write(...at: [number, AccessSize, number]) {
            super.write(...at);
            if (at[0] === 0 && at[1] === 4) this.control = at[2] & 5;
          }
        },
        /CONTROL: bits of no field follow what is written: 0x4/,
      ],
      [
        'a field that does not keep its value',
        class extends Sound {
          override write(...at: [number, AccessSize, number]) {
            super.write(...at);
            this.control = 0;
          }
        },
        /CONTROL: after a write of 0xffffffff its fields read as 0x0/,
      ],
      [
        'a flag that a 0 clears',
        class extends Sound {
          override write(...at: [number, AccessSize, number]) {
            super.write(...at);
            if (at[0] === 4) this.status &= 2;
          }
        },
        /STATUS.DONE: a write of 0 changes it/,
      ],
      [
        'a flag that a 1 leaves',
        class extends Sound {
          override write(...at: [number, AccessSize, number]) {
            if (at[0] !== 4) super.write(...at);
          }
        },
        /STATUS.DONE: a write of 1 does not clear it/,
      ],
      [
        'a flag that a read leaves',
        class extends Sound {
          override read(...at: [number, AccessSize]) {
            return this.peek(...at) ?? 0;
          }
        },
        /STATUS.LOST: a read does not clear it/,
      ],
      [
        'an access that throws',
        class extends Sound {
          override read(...at: [number, AccessSize]) {
            if (at[0] === 13) throw new Error('no such register');
            return super.read(...at);
          }
        },
        /read\(0xd,1\) throws: no such register/,
      ],
      [
        'much work',
        class extends Sound {
          override write(...at: [number, AccessSize, number]) {
            const line = this.context.interruptLine(5);
            if (at[0] === 12) for (let i = 0; i < 100; i++) line.set(i % 2 === 0);
            super.write(...at);
          }
        },
        /write\(0xc,1,0xff\) moves interrupts 100 times/,
      ],
      [
        'many timers',
        class extends Sound {
          override write(...at: [number, AccessSize, number]) {
            this.context.clock.schedule(1e6, () => undefined);
            super.write(...at);
          }
        },
        /65 timers wait/,
      ],
      [
        'a timer after close',
        class extends Sound {
          constructor(context: DeviceContext) {
            super(context);
            context.clock.schedule(1, () => undefined);
          }
        },
        /timers are left after close/,
      ],
      [
        'a reset that forgets',
        class extends Sound {
          override reset() {
            this.status = 0;
          }
        },
        /CONTROL: it is 0x1 after a reset, and 0x0 in a new device/,
      ],
      [
        'a line that a reset leaves high',
        class extends Sound {
          override write(...at: [number, AccessSize, number]) {
            this.context.interruptLine(5).set(true);
            super.write(...at);
          }
        },
        /an interrupt line is high after a reset/,
      ],
    ];
  for (const [what, device, finding] of faults)
    test(`finds ${what}`, async () => {
      const { findings } = await checkRegisters(benchOf(device), { prepare: PREPARE });
      assert.ok(
        findings.some((one) => finding.test(one)),
        findings.join('\n'),
      );
    });

  test('finds a map that does not fit the device', async () => {
    const registers: RegisterMap = {
      source: 'x',
      registers: [
        { offset: 14, size: 4, name: 'OUT', access: 'w', meaning: 'x' },
        {
          offset: 0,
          size: 1,
          name: 'BITS',
          access: 'w',
          meaning: 'x',
          fields: [{ bits: [7, 8], name: 'WIDE', meaning: 'x' }],
        },
        {
          offset: 1,
          size: 1,
          name: 'TWICE',
          access: 'w',
          meaning: 'x',
          fields: [
            { bits: [0, 3], name: 'A', meaning: 'x' },
            { bits: [3, 4], name: 'B', meaning: 'x' },
          ],
        },
      ],
    };
    const device = { name: 'x', registers, read: () => -1, write: () => undefined };
    const { findings } = await checkRegisters(() => deviceBench(() => device, { length: 16 }));
    assert.deepEqual(findings, [
      "OUT: it lies outside of the device's range",
      'BITS.WIDE: its bits are not in a register of 8 bits',
      'TWICE.B: another field has a bit of it',
    ]);
  });

  for (const name of ['countdown'])
    test(`finds nothing in examples/devices/${name}.js`, async () => {
      const { findings } = await checkRegisters(() => deviceBench(example(name), { length: 8 }));
      assert.deepEqual(findings, []);
    });

  for (const name of ['watchdog', 'copier', 'screen'])
    test(`finds nothing in the card examples/devices/${name}.js`, async () => {
      const { findings } = await checkRegisters(() => cardBench(example(name)));
      assert.deepEqual(findings, []);
    });
});

describe('findFailingProgram', () => {
  test('finds none in a sound device and in a sound card', async () => {
    assert.equal(await findFailingProgram(benchOf(Sound), { seed: 1, runs: 50 }), undefined);
    const card = (): PciCard => {
      let handle: CardHandle | undefined;
      return {
        name: 'card',
        pci: {
          vendor: 1,
          device: 2,
          class: 0,
          bars: [
            { type: 'memory64', size: 0x100 },
            { type: 'ports', size: 16 },
          ],
          msix: 2,
        },
        connect: (given) => (handle = given),
        read: () => 0,
        write: (_bar, _offset, _size, value) => handle?.interrupt(value & 1),
      };
    };
    assert.equal(await findFailingProgram(() => cardBench(card), { seed: 1, runs: 20 }), undefined);
  });

  class Fragile extends Sound {
    armed = false;
    override write(offset: number, size: AccessSize, value: number): void {
      if (offset === 0 && size === 4) this.armed = (value & 1) !== 0;
      if (offset === 4 && size === 4 && this.armed && (value & 0x8000_0000) !== 0) throw new Error('fell over');
      super.write(offset, size, value);
    }
  }

  test('shrinks a failing one to what it needs, and the same seed finds it again', async () => {
    const one = await findFailingProgram(benchOf(Fragile), { seed: 3, runs: 1000 });
    assert.match(one?.program ?? '', /^write\(CONTROL,0x1\) write\(STATUS,0x80000000\)$/);
    assert.match(one?.message ?? '', /fell over/);
    assert.deepEqual(await findFailingProgram(benchOf(Fragile), { seed: 3, runs: 1000 }), one);
    await assert.rejects(play(await benchOf(Fragile)(), one?.program ?? ''), /fell over/);
  });

  test('closes each device once', async () => {
    let created = 0;
    let closed = 0;
    class Counted extends Sound {
      constructor(context: DeviceContext) {
        super(context);
        created++;
      }
      close(): void {
        closed++;
      }
    }
    assert.equal(await findFailingProgram(benchOf(Counted), { seed: 1, runs: 5 }), undefined);
    assert.equal(closed, created);
  });

  test('checks what the author says holds, and the state after a reset', async () => {
    const odd = await findFailingProgram(benchOf(Sound), {
      seed: 1,
      holds: (bench) => assert.notEqual(bench.peek(0, 4, 'CONTROL'), 1, 'CONTROL is 1'),
    });
    assert.match(odd?.program ?? '', /^write\(CONTROL,0x1\)$/);
    class Forgets extends Sound {
      override reset(): void {
        this.status = 0;
      }
    }
    assert.match((await findFailingProgram(benchOf(Forgets), { seed: 1 }))?.message ?? '', /after a reset/);
  });

  test('writes a test of it', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'upcall-testing-'));
    t.after(() => rm(folder, { recursive: true }));
    const file = join(folder, 'found.test.ts');
    const found = await findFailingProgram(benchOf(Fragile), {
      seed: 3,
      runs: 1000,
      saveTo: { file, module: './fragile.bench.ts', create: 'makeBench' },
    });
    const text = await readFile(file, 'utf8');
    assert.ok(text.includes(JSON.stringify(found?.program)), text);
    assert.ok(text.includes('import { makeBench } from "./fragile.bench.ts"'), text);
  });
});

test('coverage counts accesses of each field, and names what was left out', async () => {
  const bench = await benchOf(Sound)();
  const coverage = new RegisterCoverage(bench.registers as RegisterMap);
  await play(coverage.observe(bench), 'write(CONTROL,1) write(CONTROL,0) read(CONTROL) read(STATUS) read(0x1,1)');
  assert.deepEqual(coverage.missing, [
    'STATUS.DONE is never written',
    'STATUS.LOST is never written',
    'ID is never read',
  ]);
  assert.equal(coverage.otherAccesses, 1);
  assert.deepEqual(coverage.fields[0], {
    register: 'CONTROL',
    field: 'ENABLE',
    reads: 1,
    writes: 2,
    read: [0],
    written: [1, 0],
    names: { 1: 'ON' },
    isReadable: true,
    isWritable: true,
  });
  assert.match(coverage.toString(), /^CONTROL\.ENABLE {2}read 1× \(0x0\) {2,}written 2× \(0x1 ON, 0x0\)$/m);
});
