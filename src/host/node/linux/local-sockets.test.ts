import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { ByteStream } from '../../byte-stream.js';
import type { LocalSockets } from '../../local-sockets.js';
import { runtimeFolder } from '../runtime-folder.js';
import { loadLibc } from './libc.js';
import { openLocalSockets } from './local-sockets.js';

const skip = loadLibc() === undefined && 'this is not Linux, or koffi is missing';
const folder = mkdtempSync(join(tmpdir(), 'upcall-sockets-'));
const runtime = process.env['XDG_RUNTIME_DIR'];

// The streams do not keep the process alive.
let alive: NodeJS.Timeout;
before(() => (alive = setInterval(() => undefined, 1000)));
after(() => {
  clearInterval(alive);
  if (runtime === undefined) delete process.env['XDG_RUNTIME_DIR'];
  else process.env['XDG_RUNTIME_DIR'] = runtime;
  rmSync(folder, { recursive: true });
});

/** What arrives on a stream: text, and then its end. */
class Arrivals {
  text = '';
  hasEnded = false;
  #wake: () => void = () => undefined;

  constructor(stream: ByteStream) {
    stream.start(
      (bytes) => {
        this.text += Buffer.from(bytes).toString('latin1');
        this.#wake();
      },
      () => {
        this.hasEnded = true;
        this.#wake();
      },
    );
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => (this.#wake = resolve));
  }
}

describe('local sockets', { skip, timeout: 20_000 }, () => {
  const sockets = skip === false ? (openLocalSocketsIn(folder) as LocalSockets) : (undefined as never);

  test('carry bytes both ways, and the end', async () => {
    const accepted: ByteStream[] = [];
    let wake: () => void = () => undefined;
    const connected = new Promise<void>((resolve) => (wake = resolve));
    const server = await sockets.listen('a.sock', (stream) => {
      accepted.push(stream);
      wake();
    });
    const client = await sockets.connect('a.sock');
    client.write(Buffer.from('before the start'));
    await connected;
    const [peer] = accepted as [ByteStream];
    const [atServer, atClient] = [new Arrivals(peer), new Arrivals(client)];
    await atServer.until(() => atServer.text === 'before the start');
    peer.write(Buffer.from('answer'));
    peer.end();
    await atClient.until(() => atClient.hasEnded);
    assert.equal(atClient.text, 'answer');
    client.close();
    await server.close();
    await assert.rejects(sockets.connect('a.sock'), { code: 'ENOENT' });
  });

  test('report an end that came before the start', async () => {
    const server = await sockets.listen('b.sock', (stream) => stream.close());
    const client = await sockets.connect('b.sock');
    const arrivals = new Arrivals(client);
    await arrivals.until(() => arrivals.hasEnded);
    await server.close();
  });

  test('are in a folder, and of files, that other users cannot enter', async () => {
    const server = await sockets.listen('c.sock', (stream) => stream.close());
    assert.equal(sockets.pathOf('c.sock'), join(folder, 'upcall/c.sock'));
    assert.equal(statSync(join(folder, 'upcall')).mode & 0o777, 0o700);
    sockets.lock('c.lock')?.release();
    assert.equal(statSync(join(folder, 'upcall/c.lock')).mode & 0o077, 0);
    await server.close();
  });

  test('a lock has one holder, and is free again when it is released', () => {
    const lock = sockets.lock('d.lock');
    assert.ok(lock);
    assert.equal(sockets.lock('d.lock'), undefined);
    lock.release();
    const next = sockets.lock('d.lock');
    assert.ok(next);
    lock.release();
    assert.equal(sockets.lock('d.lock'), undefined, 'a second release is not that of the next holder');
    next.release();
  });

  test('listening replaces the socket of a process that has ended', async () => {
    const path = sockets.pathOf('e.sock');
    symlinkSync('/nowhere', path);
    const server = await sockets.listen('e.sock', (stream) => stream.close());
    (await sockets.connect('e.sock')).close();
    await server.close();
    assert.ok(!existsSync(path));
  });

  test('a path too long for a socket is an error that says so', () => {
    assert.throws(() => sockets.pathOf('x'.repeat(108)), /has more than 107 bytes/);
  });
});

function openLocalSocketsIn(place: string): LocalSockets | undefined {
  process.env['XDG_RUNTIME_DIR'] = place;
  return openLocalSockets();
}

describe('the runtime folder', { skip: process.platform === 'win32' && 'Windows has no users of files' }, () => {
  test('is below XDG_RUNTIME_DIR, if that is a folder, and else among the temporary files', () => {
    assert.equal(runtimeFolder({ XDG_RUNTIME_DIR: folder }), join(folder, 'upcall'));
    const fallback = join(tmpdir(), `upcall-${process.getuid?.()}`);
    const existed = existsSync(fallback);
    for (const wrong of [undefined, '', 'relative', join(folder, 'missing')])
      assert.equal(runtimeFolder(wrong === undefined ? {} : { XDG_RUNTIME_DIR: wrong }), fallback);
    if (!existed) rmSync(fallback, { recursive: true });
  });

  test('is refused if others can enter it, or if it is a link', () => {
    const open = join(folder, 'open');
    mkdirSync(join(open, 'upcall'), { recursive: true });
    chmodSync(join(open, 'upcall'), 0o750);
    assert.throws(() => runtimeFolder({ XDG_RUNTIME_DIR: open }), /not a folder of this user alone/);
    const linked = join(folder, 'linked');
    mkdirSync(linked);
    symlinkSync(join(folder, 'upcall'), join(linked, 'upcall'));
    assert.throws(() => runtimeFolder({ XDG_RUNTIME_DIR: linked }), /not a folder of this user alone/);
  });
});
