import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { CONSOLE_BACKLOG_BYTES, ConsoleOutput } from './console-output.js';

const unexpected = (what: unknown): void => assert.fail(String(what));

/** A reader that takes one piece per call. */
class SlowReader extends Writable {
  bytes = 0;
  #next: (() => void) | undefined;
  override _write(chunk: Uint8Array, _encoding: string, done: () => void): void {
    this.#next = () => {
      this.bytes += chunk.length;
      done();
    };
  }
  async takeAll(): Promise<void> {
    while (this.#next !== undefined) {
      const next = this.#next;
      this.#next = undefined;
      next();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

test('no character waits while the reader keeps up', () => {
  const output = new ConsoleOutput({ stream: new SlowReader(), onBroken: unexpected });
  output.write(new Uint8Array(100));
  assert.equal(output.room(), undefined);
});

test('a character above the backlog waits for the reader, and nothing is lost', async () => {
  const stream = new SlowReader();
  const output = new ConsoleOutput({ stream, onBroken: unexpected });
  for (let i = 0; i < 17; i++) output.write(new Uint8Array(64 * 1024));
  const room = output.room();
  assert.ok(room instanceof Promise);
  assert.equal(output.room(), room);
  await Promise.all([room, stream.takeAll()]);
  assert.equal(output.room(), undefined);
  assert.equal(stream.bytes, 17 * 64 * 1024);
  assert.ok(stream.bytes > CONSOLE_BACKLOG_BYTES);
});

test('flushed() resolves after the reader has read everything', async () => {
  const stream = new SlowReader();
  const output = new ConsoleOutput({ stream, onBroken: unexpected });
  output.write(new Uint8Array(10));
  const flushed = output.flushed();
  await stream.takeAll();
  await flushed;
  assert.equal(stream.bytes, 10);
});

test('a closed reader is reported once, later bytes are dropped, and nothing waits', async () => {
  const broken: (string | undefined)[] = [];
  const stream = new Writable({
    write: (_chunk, _encoding, done) => done(Object.assign(new Error('gone'), { code: 'EPIPE' })),
  });
  const seen: number[] = [];
  const output = new ConsoleOutput({
    stream,
    onBytes: (bytes) => seen.push(bytes.length),
    onBroken: (error) => broken.push(error.code),
  });
  output.write(new Uint8Array(1));
  await new Promise((resolve) => setImmediate(resolve));
  output.write(new Uint8Array(2));
  assert.deepEqual(broken, ['EPIPE']);
  assert.deepEqual(seen, [1, 2]);
  assert.equal(output.room(), undefined);
  await output.flushed();
});
