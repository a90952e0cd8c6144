/** The other ends of `--console` and `--port`, with a port of the test. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test, type TestContext } from 'node:test';
import type { ConsoleBackend, ConsolePortHandle } from '../../device-model/virtio/console/console-backend.js';
import { FileBackend, MAX_WAITING_FILE_BYTES } from './file-backend.js';
import { MAX_WAITING_PROGRAMS, MAX_WAITING_SOCKET_BYTES, SocketBackend } from './socket-backend.js';
import { TerminalBackend } from './terminal-backend.js';

const folder = mkdtempSync(join(tmpdir(), 'upcall-ports-'));
after(() => rmSync(folder, { recursive: true }));

/** A port whose guest takes what the test lets it take. */
class TestPort implements ConsolePortHandle {
  received = '';
  /** Bytes that the guest still takes. */
  room = Infinity;
  isOpen = false;
  isUnplugged = false;
  resumed = 0;
  #onChange: () => void = () => undefined;

  receive(bytes: Uint8Array): number {
    const taken = Math.min(bytes.length, this.room);
    this.received += Buffer.from(bytes.subarray(0, taken)).toString('latin1');
    this.room -= taken;
    this.#onChange();
    return taken;
  }

  setOpen(isOpen: boolean): void {
    this.isOpen = isOpen;
    this.#onChange();
  }

  resume(): void {
    this.resumed++;
    this.#onChange();
  }

  unplug(): void {
    this.isUnplugged = true;
    this.#onChange();
  }

  /** Resolves when `condition` holds after something has changed. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => (this.#onChange = resolve));
  }
}

function connected<T extends ConsoleBackend>(backend: T): { readonly backend: T; readonly port: TestPort } {
  const port = new TestPort();
  backend.connect(port);
  return { backend, port };
}

const noReport = (message: string): void => assert.fail(message);
const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
let sockets = 0;

describe('a port at a socket', () => {
  async function listening(t: TestContext) {
    const path = join(folder, `${++sockets}.sock`);
    const { backend, port } = connected(await SocketBackend.listen('--port x', path));
    t.after(() => backend.close());
    const program = async (): Promise<Socket> => {
      const socket = connect(path);
      t.after(() => socket.destroy());
      await once(socket, 'connect');
      return socket;
    };
    return { path, backend, port, program };
  }

  test('carries bytes both ways while a program is connected, and is for its user only', async (t) => {
    const { path, backend, port, program } = await listening(t);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(port.isOpen, false);
    const socket = await program();
    await port.until(() => port.isOpen);
    socket.write('question');
    await port.until(() => port.received === 'question');
    assert.equal(backend.write(bytes('answer')), 6);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    assert.equal(String(answer), 'answer');
    socket.end();
    await port.until(() => !port.isOpen);
    assert.equal(backend.write(bytes('late')), 4, 'a driver does not wait for a program that has gone');
  });

  test('a guest that does not read leaves the bytes in the socket, and gets all of them before the end', async (t) => {
    const { backend, port, program } = await listening(t);
    port.room = 3;
    const socket = await program();
    socket.end('abcdefgh');
    await port.until(() => port.received === 'abc');
    port.room = 2;
    backend.room();
    await port.until(() => port.received === 'abcde');
    assert.equal(port.isOpen, true);
    port.room = Infinity;
    backend.room();
    await port.until(() => !port.isOpen);
    assert.equal(port.received, 'abcdefgh');
  });

  test('a program that does not read makes the guest wait, with a bounded number of bytes here', async (t) => {
    const { backend, port, program } = await listening(t);
    const socket = await program();
    await port.until(() => port.isOpen);
    socket.pause();
    const piece = new Uint8Array(4096);
    let written = 0;
    for (let taken = piece.length; taken === piece.length; written += taken) {
      taken = backend.write(piece);
      // The system takes some of it.
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    assert.equal(backend.write(piece), 0);
    assert.ok(written >= MAX_WAITING_SOCKET_BYTES);
    const before = port.resumed;
    let read = 0;
    socket.on('data', (part: Buffer) => (read += part.length)).resume();
    await port.until(() => port.resumed > before);
    assert.ok(backend.write(piece) > 0);
    assert.ok(read > 0);
  });

  test('programs wait for their turn, and beyond a limit are refused', async (t) => {
    const { port, program } = await listening(t);
    const first = await program();
    await port.until(() => port.isOpen);
    const next: Socket[] = [];
    for (let n = 0; n < MAX_WAITING_PROGRAMS; n++) next.push(await program());
    next[0]?.write('second');
    const last = await program();
    await once(last, 'close');
    assert.equal(port.received, '');
    // One that waits may leave.
    next[1]?.destroy();
    first.write('first ');
    await port.until(() => port.received === 'first ');
    first.destroy();
    await port.until(() => port.received === 'first second');
  });

  test('a socket that a process left behind is replaced, and others are refused', async (t) => {
    const path = join(folder, 'used.sock');
    writeFileSync(path, '');
    const refused = (fact: RegExp, at = path) =>
      assert.rejects(SocketBackend.listen('--port x', at), { code: 'OPTION_INVALID', message: fact });
    await refused(/used\.sock is there, and is no socket/);
    await refused(/cannot listen at .*none\/x \(E\w+\)/, join(folder, 'none/x'));
    rmSync(path);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(path, resolve));
    await refused(/another program listens at/);
    // Closing would remove its file, as the end of a process does not.
    const other = join(folder, 'left.sock');
    const { renameSync } = await import('node:fs');
    renameSync(path, other);
    await new Promise<void>((resolve) => server.close(() => resolve()));
    const backend = await SocketBackend.listen('--port x', other);
    t.after(() => backend.close());
    assert.ok(statSync(other).isSocket());
  });

  test('its end does not wait for a program that does not read', async () => {
    const path = join(folder, 'slow.sock');
    const { backend, port } = connected(await SocketBackend.listen('--port x', path));
    const socket = connect(path);
    socket.pause();
    await port.until(() => port.isOpen);
    const piece = new Uint8Array(1 << 20);
    while (backend.write(piece) > 0) await new Promise<void>((resolve) => setImmediate(resolve));
    await backend.close();
    socket.destroy();
  });
});

describe('a port with a file', () => {
  test('writes what the guest writes, and takes no more than a limit before the disk does', async () => {
    const path = join(folder, 'log');
    writeFileSync(path, 'old contents');
    const { backend, port } = connected(await FileBackend.create('--port x', path, noReport));
    assert.equal(port.isOpen, true);
    const long = new Uint8Array(MAX_WAITING_FILE_BYTES).fill(0x61);
    assert.equal(backend.write(bytes('start ')), 6);
    assert.equal(backend.write(long), long.length - 6);
    assert.equal(backend.write(bytes('more')), 0);
    await port.until(() => port.resumed > 0);
    assert.equal(backend.write(bytes(' end')), 4);
    await backend.close();
    assert.equal(readFileSync(path, 'latin1'), `start ${'a'.repeat(long.length - 6)} end`);
  });

  test('that cannot be created is refused', async () => {
    await assert.rejects(FileBackend.create('--port x', join(folder, 'none/log'), noReport), {
      code: 'OPTION_INVALID',
      message: /--port x: cannot write .*none\/log \(ENOENT\)/,
    });
  });

  test('that cannot be written is reported once, and the port is removed', async () => {
    const reports: string[] = [];
    const full = {
      write: () => Promise.reject(Object.assign(new Error(), { code: 'ENOSPC' })),
      close: () => Promise.reject(Object.assign(new Error(), { code: 'EIO' })),
    };
    const { backend, port } = connected(new FileBackend('log', full, (text) => reports.push(text)));
    backend.write(bytes('lost'));
    await port.until(() => port.isUnplugged);
    backend.write(bytes('lost'));
    await backend.close();
    assert.deepEqual(reports, ['log: writing failed (ENOSPC); its port is removed from the guest']);
  });
});

describe('the terminal', () => {
  test('takes output while there is room; without a reader the guest waits, and then output is dropped', async () => {
    const { backend, port } = connected(new TerminalBackend());
    let output = '';
    let full: Promise<void> | undefined;
    let dropped = 0;
    backend.attach({
      output: { write: (part) => (output += Buffer.from(part).toString('latin1')), room: () => full },
      onInputRoom: () => assert.fail('no input'),
      onDropped: () => dropped++,
    });
    assert.equal(port.isOpen, true);
    assert.equal(backend.write(bytes('one ')), 4);
    let makeRoom: () => void = () => undefined;
    full = new Promise((resolve) => (makeRoom = resolve));
    assert.equal(backend.write(bytes('two ')), 0);
    assert.equal(backend.write(bytes('two ')), 0);
    makeRoom();
    full = undefined;
    await port.until(() => port.resumed === 1);
    assert.equal(backend.write(bytes('two ')), 4);
    // The time of a wait is over, without room.
    full = Promise.resolve();
    for (const resumed of [2, 3]) {
      assert.equal(backend.write(bytes('lost')), 0);
      await port.until(() => port.resumed === resumed);
      assert.equal(backend.write(bytes('lost')), 4);
    }
    full = undefined;
    assert.equal(backend.write(bytes('end')), 3);
    assert.equal(output, 'one two end');
    assert.equal(dropped, 1);
  });

  test('gives its input to the port, and passes on that there is room', () => {
    const early = new TerminalBackend();
    assert.equal(early.receive(bytes('key')), 0);
    const { backend, port } = connected(early);
    let rooms = 0;
    backend.attach({
      output: { write: () => assert.fail('output'), room: () => undefined },
      onInputRoom: () => rooms++,
      onDropped: () => assert.fail('dropped'),
    });
    port.room = 2;
    assert.equal(backend.receive(bytes('key')), 2);
    backend.room();
    assert.deepEqual([port.received, rooms], ['ke', 1]);
  });
});
