/** Both kinds of stream sockets: with descriptors, by koffi, and Node's own. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { DescriptorListener, DescriptorStream } from '../descriptor-streams.js';
import { closeDescriptor } from './linux/descriptors.js';
import { openEventFds } from './linux/event-fds.js';
import { listenWithDescriptors } from './linux/descriptor-streams.js';
import { loadLibc } from './linux/libc.js';
import { UnixSockets } from './linux/unix-sockets.js';
import { listenWithoutDescriptors } from './plain-streams.js';

const noKoffi = loadLibc() === undefined ? 'this is not Linux, or koffi is not installed' : false;

type Listen = (path: string, onConnection: (stream: DescriptorStream) => void) => Promise<DescriptorListener>;

const listenByLibc: Listen = (path, on) => Promise.resolve().then(() => listenWithDescriptors(path, on));

const kinds: readonly (readonly [string, Listen, string | false])[] = [
  ['with descriptors', listenByLibc, noKoffi],
  ['without descriptors', listenWithoutDescriptors, process.platform === 'win32' ? 'needs Unix sockets' : false],
];

async function connected(
  t: TestContext,
  listen: Listen,
): Promise<{
  readonly stream: DescriptorStream;
  readonly socket: Socket;
  readonly path: string;
  readonly listener: DescriptorListener;
}> {
  const folder = mkdtempSync(join(tmpdir(), 'upcall-streams-'));
  const path = join(folder, 'socket');
  let accept: (stream: DescriptorStream) => void = () => undefined;
  const accepted = new Promise<DescriptorStream>((resolve) => (accept = resolve));
  const listener = await listen(path, (one) => accept(one));
  const socket = connect(path);
  const stream = await accepted;
  t.after(async () => {
    socket.destroy();
    stream.close();
    await listener.close();
    rmSync(folder, { recursive: true });
  });
  return { stream, socket, path, listener };
}

function readable(stream: DescriptorStream): Promise<void> {
  return new Promise((resolve) => (stream.onReadable = resolve));
}

for (const [kind, listen, skip] of kinds)
  describe(`a stream ${kind}`, { skip }, () => {
    test('brings bytes on the event loop, and sends some', async (t) => {
      const { stream, socket } = await connected(t, listen);
      const arrives = readable(stream);
      socket.write('abc');
      await arrives;
      const part = stream.receive();
      assert.ok(part !== undefined && part !== 'closed');
      assert.equal(Buffer.from(part.bytes).toString(), 'abc');
      assert.equal(part.mayHaveMore, false);
      assert.equal(stream.receive(), undefined);
      assert.equal(stream.send(Buffer.from('de')), true);
      assert.equal(String((await once(socket, 'data'))[0]), 'de');
    });

    test('calls again for a receiver that does not take everything, to the end', { timeout: 30_000 }, async (t) => {
      const { stream, socket } = await connected(t, listen);
      const parts = 5;
      for (let part = 0; part < parts; part++) {
        await new Promise<void>((resolve) => void socket.write('x', () => resolve()));
        await setImmediate();
      }
      const closed = once(socket, 'close');
      socket.end();
      let taken = 0;
      await new Promise<void>((resolve) => {
        stream.onReadable = () => {
          const part = stream.receive();
          if (part === 'closed') resolve();
          else taken += part?.bytes.length ?? 0;
        };
        stream.onReadable();
      });
      assert.equal(taken, parts);
      stream.close();
      await closed;
    });

    test('ends after a program that left something unread and some bytes', { timeout: 30_000 }, async (t) => {
      const { stream, socket } = await connected(t, listen);
      socket.on('error', () => undefined);
      assert.equal(stream.send(Buffer.from('unread')), true);
      socket.write('half a mess');
      socket.destroy();
      let taken = '';
      await new Promise<void>((resolve) => {
        stream.onReadable = () => {
          const part = stream.receive();
          if (part === 'closed') resolve();
          else taken += Buffer.from(part?.bytes ?? []).toString();
        };
      });
      assert.match(taken, /^(half a mess)?$/);
    });

    test('waits for bytes without the event loop, at most the given time', async (t) => {
      const { stream, socket } = await connected(t, listen);
      await new Promise<void>((resolve) => void socket.write('x', () => resolve()));
      stream.wait(10_000);
      const part = stream.receive();
      assert.ok(part !== undefined && part !== 'closed' && part.bytes.length === 1);
      stream.wait(1);
      assert.equal(stream.receive(), undefined);
    });

    test('writes nothing to a file that got its number', { timeout: 30_000 }, async (t) => {
      const { stream, socket, path } = await connected(t, listen);
      let isGone = false;
      stream.onReadable = () => void (isGone = stream.receive() === 'closed');
      socket.on('error', () => undefined);
      socket.end();
      const file = `${path}.file`;
      while (!isGone) {
        const fd = openSync(file, 'w');
        stream.send(Buffer.from('x'));
        closeSync(fd);
        assert.equal(readFileSync(file, 'utf8'), '');
        await setImmediate();
      }
    });

    test('says that the program is gone', async (t) => {
      const { stream, socket } = await connected(t, listen);
      const ends = readable(stream);
      socket.destroy();
      await ends;
      assert.equal(stream.receive(), 'closed');
      assert.equal(stream.send(new Uint8Array(1)), false);
    });

    test('has a socket of its own, and removes one at which no program listens', async (t) => {
      const { path, listener, stream } = await connected(t, listen);
      assert.equal(statSync(path).mode & 0o077, 0, 'only its user can connect');
      await assert.rejects(
        listen(path, () => undefined),
        { code: 'EADDRINUSE' },
      );
      stream.close();
      await listener.close();
      assert.equal(existsSync(path), false);
    });
  });

/** Reads what arrives at the socket `workerData`, 64 KiB about every 20 ms. */
const SLOW_READER = `
  const socket = require('node:net').connect(require('node:worker_threads').workerData);
  socket.on('data', () => { socket.pause(); setTimeout(() => socket.resume(), 20); });
  socket.on('error', () => undefined);`;

describe('a stream with descriptors', { skip: noKoffi }, () => {
  test('waits its full time although signals arrive, and still notices bytes', async (t) => {
    const { stream, socket } = await connected(t, listenByLibc);
    const onSignal = (): void => undefined;
    process.on('SIGWINCH', onSignal);
    t.after(() => process.off('SIGWINCH', onSignal));
    // The signals reach this thread while it blocks.
    const signals = spawn('sh', ['-c', `while kill -WINCH ${process.pid}; do sleep 0.01; done`], { stdio: 'ignore' });
    t.after(() => signals.kill());
    await once(process, 'SIGWINCH');
    const begunMs = performance.now();
    stream.wait(300);
    assert.ok(performance.now() - begunMs >= 300, 'a signal ended the wait');
    await new Promise<void>((resolve) => void socket.write('x', () => resolve()));
    stream.wait(60_000);
    const part = stream.receive();
    assert.ok(part !== undefined && part !== 'closed' && part.bytes.length === 1);
  });

  test('sends for a second at most, also to a program that goes on reading slowly', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'upcall-streams-'));
    const path = join(folder, 'socket');
    let accept: (stream: DescriptorStream) => void = () => undefined;
    const accepted = new Promise<DescriptorStream>((resolve) => (accept = resolve));
    const listener = listenWithDescriptors(path, (one) => accept(one));
    const reader = new Worker(SLOW_READER, { eval: true, workerData: path });
    const stream = await accepted;
    t.after(async () => {
      stream.close();
      await reader.terminate();
      await listener.close();
      rmSync(folder, { recursive: true });
    });
    const begunMs = performance.now();
    assert.equal(stream.send(new Uint8Array(64 << 20)), false);
    assert.ok(performance.now() - begunMs < 10_000, 'each part had a second of its own');
  });

  test('a listener that is closed twice closes no other file', async (t) => {
    const { stream, listener } = await connected(t, listenByLibc);
    stream.close();
    await listener.close();
    // One of them has the listener's number now.
    const files = Array.from({ length: 8 }, () => openSync('/dev/null', 'r'));
    t.after(() => files.forEach(closeDescriptor));
    await listener.close();
    for (const file of files) assert.ok(fstatSync(file).isCharacterDevice());
  });

  test('brings descriptors along', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'upcall-streams-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'socket');
    let accept: (stream: DescriptorStream) => void = () => undefined;
    const accepted = new Promise<DescriptorStream>((resolve) => (accept = resolve));
    const listener = listenWithDescriptors(path, (one) => accept(one));
    const sockets = new UnixSockets({ type: 'stream' });
    const fd = sockets.connect(path);
    const stream = await accepted;
    const events = openEventFds();
    assert.ok(events);
    const event = events.create();
    assert.equal(sockets.send(fd, Uint8Array.of(1), [event, event]), true);
    stream.wait(10_000);
    const part = stream.receive();
    assert.ok(part !== undefined && part !== 'closed');
    assert.equal(part.descriptors.length, 2);
    assert.equal(events.adopt(part.descriptors[0] ?? -1), true);
    assert.equal(events.adopt(fd), false);
    events.write(part.descriptors[1] ?? -1);
    assert.equal(events.read(event), 1n);
    for (const one of [...part.descriptors, event, fd]) events.close(one);
    stream.close();
    await listener.close();
  });

  test('a file that is not a socket is left alone, and a socket without a program is replaced', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'upcall-streams-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'socket');
    writeFileSync(path, 'mine');
    assert.throws(() => listenWithDescriptors(path, () => undefined), { code: 'EEXIST' });
    assert.equal(readFileSync(path, 'utf8'), 'mine');
    rmSync(path);
    closeDescriptor(new UnixSockets({ type: 'stream' }).listen(path));
    assert.equal(existsSync(path), true);
    await listenWithDescriptors(path, () => undefined).close();
    assert.equal(existsSync(path), false);
    closeDescriptor(new UnixSockets({ type: 'stream' }).listen(path));
    await (await listenWithoutDescriptors(path, () => undefined)).close();
    assert.equal(existsSync(path), false);
  });
});
