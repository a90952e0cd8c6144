/** Random programs: what fails, how it is shrunk, and the test that is written of it. */

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { AccessSize } from '../device-model/device.js';
import type { CardHandle, PciCard } from '../device-model/pci/pci-card.js';
import type { DeviceContext } from '../device-model/placement/device-module.js';
import { benchOf, Sound } from './fixtures/sound-device.js';
import { cardBench, findFailingProgram, play } from './index.js';

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
