import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mmio } from '../hsm/address-range.js';
import { withBench } from './fixtures/live-bench.js';
import { interruptsMessage } from './interrupt-sampler.js';
import { MAX_MESSAGE_ROWS } from './protocol.js';

test('a page that watches interrupts gets the lines and messages, then changes only, and no other page does', async () => {
  const steps = [{ type: 'mmio', direction: 'read', address: 0xe000_0000, size: 4 }] as const;
  await withBench({ steps: [...steps], repeat: 3 }, async ({ vm, page }) => {
    const line = vm.interruptLine(7, 'prober');
    vm.attach(mmio(0xe000_0000, 4), {
      name: 'prober',
      read: () => {
        for (const high of [false, true]) line.set(high);
        return vm.injectMsi('INJECT_MSI', 0xfee0_0000, 0x40);
      },
      write: () => undefined,
    });
    const [client, other] = [await page(), await page()];
    await other.send({ kind: 'watch', slots: false, tables: true, moves: null });
    await client.send({ kind: 'watch', slots: false, tables: false, moves: null, interrupts: true });
    const before = await client.message('interrupts');
    const row = { line: 7, owners: ['prober'], ends: null };
    assert.deepEqual([before.lines, before.messages], [[{ ...row, isHigh: false, holders: [], rises: 0 }], []]);
    await vm.start();
    const after = await client.message('interrupts', ({ lines }) => lines[0]?.rises === 3);
    assert.deepEqual(after.lines, [{ ...row, isHigh: true, holders: ['prober'], rises: 3 }]);
    assert.deepEqual(after.messages, [{ source: 'INJECT_MSI', vector: 0x40, sent: 3, refused: 0, isPending: false }]);
    await other.message('tables', ({ requests }) => requests === 3);
    // A sample for tables is one for interrupts, too: nothing has changed since.
    await client.send({ kind: 'watch', slots: false, tables: true, moves: null, interrupts: true });
    await client.message('interrupts');
    for (let sample = 0; sample < 2; sample++) await client.message('tables');
    const kinds = client.messages.map(({ kind }) => kind);
    assert.equal(kinds.filter((kind) => kind === 'interrupts').length, 0);
    assert.ok(!other.messages.some(({ kind }) => kind === 'interrupts'));
  });
});

test('of more messages than have a row the most frequent are shown, in the order of the VM', () => {
  const messages = Array.from({ length: MAX_MESSAGE_ROWS + 3 }, (_, vector) => ({
    source: 'card',
    vector,
    sent: vector,
    refused: 0,
    isPending: false,
  }));
  const shown = interruptsMessage({ lines: [], messages, doorbells: [] });
  assert.equal(shown.hiddenMessages, 3);
  assert.deepEqual([shown.messages[0]?.vector, shown.messages.length], [3, MAX_MESSAGE_ROWS]);
});
