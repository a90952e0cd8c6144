import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { ConsoleInput, TYPE_AHEAD_BYTES } from './console-input.js';

const unexpected = (what: unknown): void => assert.fail(String(what));

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A serial port that takes `room` bytes until it is given more. */
class Port {
  room: number;
  readonly taken: number[] = [];
  constructor(room: number) {
    this.room = room;
  }
  readonly receive = (bytes: Uint8Array): number => {
    const count = Math.min(this.room, bytes.length);
    this.taken.push(...bytes.subarray(0, count));
    this.room -= count;
    return count;
  };
}

test('a pipe is read no faster than the guest reads, without loss', async () => {
  const stream = new PassThrough();
  const port = new Port(2);
  const input = new ConsoleInput({ stream, receive: port.receive, report: unexpected });
  input.start();
  stream.write(Uint8Array.of(1, 2, 3, 4, 5));
  stream.write(Uint8Array.of(6));
  stream.end();
  await turn();
  assert.deepEqual(port.taken, [1, 2]);
  assert.equal(stream.isPaused(), true);
  port.room = 2;
  input.room();
  await turn();
  assert.deepEqual(port.taken, [1, 2, 3, 4]);
  assert.equal(stream.isPaused(), true);
  port.room = 10;
  input.room();
  input.room();
  await turn();
  await turn();
  assert.deepEqual(port.taken, [1, 2, 3, 4, 5, 6]);
});

test('a terminal is read even if the guest does not read, and the escape key works', async () => {
  const stream = new PassThrough();
  const port = new Port(0);
  const typed: number[] = [];
  const reports: string[] = [];
  const input = new ConsoleInput({
    stream,
    receive: port.receive,
    filter: (bytes) => {
      typed.push(bytes.length);
      return bytes;
    },
    report: (text) => reports.push(text),
  });
  input.start();
  stream.write(Uint8Array.of(1));
  await turn();
  stream.write(new Uint8Array(TYPE_AHEAD_BYTES));
  await turn();
  stream.write(Uint8Array.of(9));
  await turn();
  assert.equal(stream.isPaused(), false);
  assert.equal(typed.at(-1), 1);
  assert.equal(reports.length, 1);
  port.room = Infinity;
  input.room();
  await turn();
  assert.equal(port.taken.length, TYPE_AHEAD_BYTES);
  assert.equal(port.taken[0], 1);
});

test('an input that fails is reported and closes nothing else', async () => {
  const stream = new PassThrough();
  const reports: string[] = [];
  const input = new ConsoleInput({ stream, receive: (bytes) => bytes.length, report: (text) => reports.push(text) });
  input.start();
  stream.destroy(new Error('EISDIR'));
  await turn();
  await turn();
  assert.deepEqual(reports, ['standard input ended: EISDIR']);
});

test('a stopped input passes nothing to the guest', async () => {
  const stream = new PassThrough();
  const port = new Port(1);
  const input = new ConsoleInput({ stream, receive: port.receive, report: unexpected });
  input.start();
  stream.write(Uint8Array.of(1, 2));
  await turn();
  input.stop();
  port.room = 5;
  input.room();
  stream.write(Uint8Array.of(3));
  await turn();
  assert.deepEqual(port.taken, [1]);
});
