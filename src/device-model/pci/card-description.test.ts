import assert from 'node:assert/strict';
import { test } from 'node:test';
import { barsOf, cardProblem, msixHalf } from './card-description.js';
import { TestCard } from './fixtures/test-card.js';

const problem = (pci: object): string | undefined => cardProblem(new TestCard(pci));

test('BARs are numbered by their registers, and the MSI-X table takes the one after the last', () => {
  const { pci } = new TestCard({
    bars: [
      { type: 'memory64', size: 0x1000 },
      { type: 'ports', size: 8 },
    ],
    msix: 3,
  });
  assert.deepEqual(
    barsOf(pci).map(({ bar, type, size, isMsixTable }) => [bar, type, size, isMsixTable]),
    [
      [0, 'memory64', 0x1000, false],
      [2, 'ports', 8, false],
      [3, 'memory', 0x1000, true],
    ],
  );
  assert.equal(msixHalf(1), 2048);
  assert.equal(msixHalf(129), 4096);
  assert.equal(msixHalf(2048), 32768);
});

test('a valid card has no problem', () => {
  assert.equal(problem({}), undefined);
  assert.equal(problem({ bars: Array(6).fill({ type: 'memory', size: 16 }), msi: 32, interruptPin: 'D' }), undefined);
  assert.equal(problem({ bars: [{ type: 'memory64', size: 2 ** 40 }], msix: 2048 }), undefined);
  assert.equal(problem({ capabilities: [{ id: 9, bytes: new Uint8Array(0x8e) }] }), undefined);
});

test('what is wrong with a card is named', () => {
  for (const [pci, expected] of [
    [{ vendor: 0x1_0000 }, /pci\.vendor that is not a number of 16 bits/],
    [{ vendor: 0xffff }, /0xffff, which means that no card/],
    [{ device: undefined }, /pci\.device/],
    [{ class: 2 ** 24 }, /pci\.class that is not a number of 24 bits/],
    [{ revision: -1 }, /pci\.revision/],
    [{ subsystem: { vendor: 0, device: 1.5 } }, /pci\.subsystem\.device/],
    [{ msi: 3 }, /pci\.msi/],
    [{ msi: 64 }, /pci\.msi/],
    [{ msix: 0 }, /pci\.msix/],
    [{ msix: 2049 }, /pci\.msix/],
    [{ interruptPin: 'E' }, /pci\.interruptPin/],
    [{ bars: 5 }, /bars that are not an array/],
    [{ bars: [{ type: 'io', size: 16 }] }, /bars\[0\]\.type/],
    [{ bars: [undefined] }, /bars\[0\]\.type/],
    [{ bars: [{ type: 'memory', size: 24 }] }, /bars\[0\]\.size that is not a power of two from 16/],
    [{ bars: [{ type: 'memory', size: 8 }] }, /bars\[0\]\.size/],
    [{ bars: [{ type: 'ports', size: 512 }] }, /bars\[0\]\.size .* from 4 to 256/],
    [{ bars: Array(7).fill({ type: 'memory', size: 16 }) }, /needs 7 BARs/],
    [{ bars: Array(6).fill({ type: 'memory', size: 16 }), msix: 1 }, /needs 7 BARs/],
    [{ bars: Array(3).fill({ type: 'memory64', size: 16 }), msix: 1 }, /needs 7 BARs/],
    [{ capabilities: [{ id: 0, bytes: [] }] }, /capabilities without an id/],
    [{ capabilities: [{ id: 9, bytes: [], isLive: true }] }, /live capability, and no readCapability/],
    [{ capabilities: [{ id: 9, bytes: new Uint8Array(0x90) }] }, /capabilities that end at 0x104/],
  ] as const)
    assert.match(problem(pci) ?? 'nothing', expected, JSON.stringify(pci));
  assert.equal(cardProblem(null), 'is null');
  assert.equal(cardProblem(5), 'is number');
  assert.equal(cardProblem({ pci: {} }), 'has no name');
  assert.match(cardProblem({ name: 'x' }) ?? '', /has no pci/);
  assert.match(cardProblem({ name: 'x', pci: {} }) ?? '', /has no read/);
  assert.match(cardProblem({ name: 'x', pci: {}, read: () => 0 }) ?? '', /has no write/);
});
