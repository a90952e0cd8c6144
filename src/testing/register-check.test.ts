/** checkRegisters: what it finds in devices with one fault each, and in sound ones. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AccessSize, Device } from '../device-model/device.js';
import type { DeviceContext } from '../device-model/placement/device-module.js';
import type { RegisterMap } from '../device-model/register-map.js';
import { benchOf, PREPARE, Sound } from './fixtures/sound-device.js';
import { checkRegisters, deviceBench } from './index.js';

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

  test('compares only the bits of a reset mask', async () => {
    const check = async (resetMask: number): Promise<readonly string[]> => {
      const registers: RegisterMap = {
        source: 'x',
        registers: [{ offset: 0, size: 1, name: 'R', access: 'r', meaning: 'x', reset: 0x05, resetMask }],
      };
      const device = { name: 'x', registers, read: () => 0xa5, peek: () => 0xa5, write: () => undefined };
      return (await checkRegisters(() => deviceBench(() => device, { length: 1 }))).findings;
    };
    assert.deepEqual(await check(0x0f), []);
    assert.deepEqual(await check(0x8f), [
      'R: it is 0xa5 when new, the map says 0x5',
      'R: it is 0xa5 after a reset, the map says 0x5',
    ]);
  });

  test('checks plain fields also where the rest of the register changes by itself', async () => {
    let value = 0;
    const registers: RegisterMap = {
      source: 'x',
      registers: [
        {
          offset: 0,
          size: 1,
          name: 'R',
          access: 'rw',
          meaning: 'x',
          isVolatile: true,
          fields: [{ bits: [0, 1], name: 'F', meaning: 'x', access: 'rw' }],
        },
      ],
    };
    const write = (_offset: number, _size: number, written: number): void => void (value = written & 1);
    const device = { name: 'x', registers, read: () => value, peek: () => value, write };
    const { findings } = await checkRegisters(() => deviceBench(() => device, { length: 1 }));
    assert.ok(findings.includes('R: after a write of 0xffffffff its fields read as 0x1'), findings.join('\n'));
  });
});
