/** The benches of devices and cards. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { CardHandle } from '../device-model/pci/pci-card.js';
import { example } from './fixtures/sound-device.js';
import { cardBench, deviceBench, play } from './index.js';

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

  test('has a card with its MSI messages enabled, also after a reset', async () => {
    let card: CardHandle | undefined;
    const bench = await cardBench(() => ({
      name: 'x',
      pci: { vendor: 0x1234, device: 1, class: 0xff_00_00, bars: [{ type: 'memory', size: 0x1000 }], msi: 2 },
      connect: (handle) => void (card = handle),
      read: () => 0,
      write: () => card?.interrupt(1),
    }));
    await play(bench, 'write(0:0,1,0) raised(1)=1 raised(0)=0 raised()=1');
    bench.reset();
    await play(bench, 'write(0:0,1,0) raised(1)=2 raised()=2');
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
