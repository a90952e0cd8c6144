import assert from 'node:assert/strict';
import { test } from 'node:test';

import { BatchedOutput, OUTPUT_BATCH_BYTES } from './batched-output.js';

function collect(): { readonly batches: Uint8Array[]; write(bytes: Uint8Array): void } {
  const batches: Uint8Array[] = [];
  return { batches, write: (bytes) => void batches.push(bytes) };
}

test('bytes of one turn reach the sink together when the turn ends', async () => {
  const sink = collect();
  const output = new BatchedOutput(sink);
  for (const byte of [1, 2, 3]) output.write(byte);
  assert.equal(sink.batches.length, 0);
  await Promise.resolve();
  assert.deepEqual(sink.batches, [Uint8Array.of(1, 2, 3)]);
});

test('a full batch goes at once, and the order holds', async () => {
  const sink = collect();
  const output = new BatchedOutput(sink);
  const sent = Uint8Array.from({ length: OUTPUT_BATCH_BYTES * 2 + 5 }, (_, i) => i % 251);
  for (const byte of sent) output.write(byte);
  assert.equal(sink.batches.length, 2);
  await Promise.resolve();
  assert.deepEqual(new Uint8Array(Buffer.concat(sink.batches)), sent);
});

test('flush leaves nothing for the end of the turn', async () => {
  const sink = collect();
  const output = new BatchedOutput(sink);
  output.write(7);
  output.flush();
  assert.equal(sink.batches.length, 1);
  await Promise.resolve();
  assert.equal(sink.batches.length, 1);
});

test('the sink may keep the bytes it was given', () => {
  const sink = collect();
  const output = new BatchedOutput(sink);
  output.write(1);
  output.flush();
  output.write(2);
  output.flush();
  assert.deepEqual(sink.batches, [Uint8Array.of(1), Uint8Array.of(2)]);
});
