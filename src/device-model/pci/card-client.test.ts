import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mmio, ports } from '../../hsm/address-range.js';
import { AssignedRequest } from '../../hsm/assigned-request.js';
import { IoRequestType } from '../../io-request/layout.js';
import { CardClient } from './card-client.js';
import { makeFunction, TestCard } from './fixtures/test-card.js';

class Echo extends TestCard {
  override read(bar: number, offset: number): number {
    return bar * 0x1000 + offset;
  }
}

/** A client with ports and memory at the same number, and what it answers to a 4-byte read. */
function reader(): (type: number, address: number) => number {
  const pci = {
    bars: [
      { type: 'ports', size: 8 },
      { type: 'memory', size: 0x1000 },
    ],
  } as const;
  const { fn } = makeFunction(pci, new Echo(pci));
  const client = new CardClient({
    fn,
    reportError: () => assert.fail(),
    onDecoded: () => undefined,
    onRemoved: () => undefined,
  });
  const [first, second] = fn.bars;
  assert.ok(first !== undefined && second !== undefined);
  client.decode(first.layout, ports(0x2000, 8));
  client.decode(second.layout, mmio(0x2000, 0x1000));
  return (type, address) => {
    const answers: number[] = [];
    const request = new AssignedRequest(0, { finish: (_ticket, low) => answers.push(low) > 0 });
    Object.assign(request, { ticket: 1, type, addressLow: address | 0, addressHigh: 0, size: 4 });
    client.notify(request);
    assert.equal(answers.length, 1);
    return answers[0] as number;
  };
}

test('ports and memory of the same number are two BARs', () => {
  const read = reader();
  assert.equal(read(IoRequestType.PORT, 0x2004), 0x0004);
  assert.equal(read(IoRequestType.MMIO, 0x2004), 0x1004);
});

test('a request outside of the BARs, which only a corrupted page can make, reads all ones', () => {
  const read = reader();
  assert.equal(read(IoRequestType.PORT, 0x2008), -1);
  assert.equal(read(IoRequestType.PORT, 0x1fff), -1);
  assert.equal(read(IoRequestType.MMIO, 0x2ffe), -1, 'across the end');
  assert.equal(read(IoRequestType.MMIO, 0x3000), -1);
});
