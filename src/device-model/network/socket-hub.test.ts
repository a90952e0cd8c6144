/** A hub of several processes, and of several ports of this one. */

import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { host } from '../../host/current.js';
import type { LocalSockets } from '../../host/local-sockets.js';
import { testFrame } from './fixtures/test-port.js';
import { MAX_PENDING_BYTES } from './frame-stream.js';
import { JOIN_MS, MAX_HUB_PEERS, SocketHubPort } from './socket-hub.js';

const A = '52:00:00:00:00:0a';
const B = '52:00:00:00:00:0b';
const C = '52:00:00:00:00:0c';
const ALL = 'ff:ff:ff:ff:ff:ff';

const runtime = process.env['XDG_RUNTIME_DIR'];
const folder = mkdtempSync(join(tmpdir(), 'upcall-hub-'));
process.env['XDG_RUNTIME_DIR'] = folder;
const sockets = await host.openLocalSockets();
const skip = sockets === undefined && 'the host has no local sockets: this is not Linux, or koffi is missing';

/** A card in this process. */
class Station {
  readonly received: Uint8Array[] = [];
  readonly reports: string[] = [];
  isUp = false;
  port!: SocketHubPort;
  #wake: () => void = () => undefined;

  static async join(name: string, plugIn = true): Promise<Station> {
    const station = new Station();
    station.port = await SocketHubPort.join({
      name,
      report: (text) => {
        station.reports.push(text);
        station.#wake();
      },
    });
    if (plugIn) station.plugIn();
    stations.push(station);
    return station;
  }

  plugIn(): void {
    this.port.connect({
      receive: (frame) => {
        this.received.push(frame.slice());
        this.#wake();
      },
      setLink: (isUp) => {
        this.isUp = isUp;
        this.#wake();
      },
    });
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => (this.#wake = resolve));
  }

  /** Resolves with what a frame of `from` looks like here. */
  async gets(from: Station, frame: Uint8Array): Promise<void> {
    from.port.send(frame);
    await this.until(() => this.received.length > 0);
    assert.deepEqual(this.received.splice(0), [frame]);
  }
}

/** Waits until all are up, and the one that serves knows the others: that is later. */
async function allJoined(...members: Station[]): Promise<void> {
  for (const member of members) await member.until(() => member.isUp);
  const server = members.find(({ port }) => port.isServer) as Station;
  while (server.port.peers < members.length - 1) await turn();
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const stations: Station[] = [];
const others: (Socket | ChildProcess)[] = [];
// The sockets do not keep the process alive.
let alive: NodeJS.Timeout;
let names = 0;
let name: string;

before(() => (alive = setInterval(() => undefined, 1000)));
beforeEach(() => (name = `test-${names++}`));
afterEach(async () => {
  for (const { port } of stations.splice(0)) await port.close();
  for (const other of others.splice(0)) {
    if ('destroy' in other) other.destroy();
    else if (other.exitCode === null && other.signalCode === null) {
      other.kill('SIGKILL');
      await once(other, 'exit');
    }
  }
});
after(() => {
  clearInterval(alive);
  if (runtime === undefined) delete process.env['XDG_RUNTIME_DIR'];
  else process.env['XDG_RUNTIME_DIR'] = runtime;
  rmSync(folder, { recursive: true });
});

describe('a hub by name', { skip, timeout: 60_000 }, () => {
  test('is served by the first that joins it, and carries frames between all', async () => {
    const [a, b, c] = [await Station.join(name), await Station.join(name), await Station.join(name)];
    assert.deepEqual(
      [a, b, c].map(({ port }) => port.isServer),
      [true, false, false],
    );
    await allJoined(a, b, c);
    b.port.send(testFrame(ALL, B));
    for (const one of [a, c]) await one.until(() => one.received.length === 1);
    assert.equal(a.port.peers, 2);
    a.received.length = c.received.length = 0;
    await b.gets(a, testFrame(B, A, { bytes: 1514 }));
    await b.gets(c, testFrame(B, C, { bytes: 60_000 }));
    await c.gets(b, testFrame(C, B));
    await a.gets(c, testFrame(A, C));
    assert.deepEqual(b.received, []);
  });

  test('is apart from hubs of other names', async () => {
    const a = await Station.join(name);
    const other = await Station.join(`${name}.other`);
    assert.ok(a.port.isServer && other.port.isServer);
    a.port.send(testFrame(ALL, A));
    const b = await Station.join(name);
    await allJoined(a, b);
    await b.gets(a, testFrame(ALL, A));
    assert.deepEqual(other.received, []);
  });

  test('has a link that is up when the card is plugged in after joining', async () => {
    await Station.join(name);
    const b = await Station.join(name, false);
    b.plugIn();
    assert.ok(b.isUp);
  });

  test('is served by one of the others when the server closes', async () => {
    const [a, b, c] = [await Station.join(name), await Station.join(name), await Station.join(name)];
    await allJoined(a, b, c);
    await a.port.close();
    const again = /serves it now|connected again/;
    for (const one of [b, c]) await one.until(() => one.isUp && one.reports.some((text) => again.test(text)));
    assert.equal([b, c].filter(({ port }) => port.isServer).length, 1);
    await allJoined(b, c);
    for (const { reports } of [b, c]) assert.match(reports[0] ?? '', /has ended the connection/);
    await b.gets(c, testFrame(ALL, C));
    await c.gets(b, testFrame(ALL, B));
    assert.deepEqual(a.received, []);
  });

  test('refuses a wrong name', async () => {
    for (const wrong of ['', 'a/b', '..\0', 'x'.repeat(33), 'a b'])
      await assert.rejects(SocketHubPort.join({ name: wrong }), { code: 'OPTION_INVALID', message: /invalid name/ });
  });

  test('that is not served and cannot be is an error after a time', { timeout: JOIN_MS + 20_000 }, async () => {
    const lock = (sockets as LocalSockets).lock(`hub-${name}.lock`);
    await assert.rejects(SocketHubPort.join({ name }), {
      code: 'TIMED_OUT',
      message: /neither served nor joined within 5 s/,
      remedy: new RegExp(`listens at .*hub-${name}\\.sock`),
    });
    lock?.release();
  });

  test('on a host without sockets is refused', async () => {
    const real = host.openLocalSockets.bind(host);
    host.openLocalSockets = () => Promise.resolve(undefined);
    try {
      await assert.rejects(SocketHubPort.join({ name }), { code: 'OPTION_INVALID', remedy: /NetworkHub/ });
      host.openLocalSockets = () => Promise.reject(new Error('x is not a folder of this user alone'));
      await assert.rejects(SocketHubPort.join({ name }), { code: 'OPTION_INVALID', message: /not a folder of this/ });
    } finally {
      host.openLocalSockets = real;
    }
  });

  test('can be closed while it tries to join again', async () => {
    const lock = (sockets as LocalSockets).lock(`hub-${name}.lock`);
    const server = await (sockets as LocalSockets).listen(`hub-${name}.sock`, (stream) => stream.close());
    const b = await Station.join(name);
    await b.until(() => b.reports.length > 0);
    await b.port.close();
    await server.close();
    lock?.release();
    assert.equal(b.isUp, false);
  });
});

/** A program of another kind that speaks the protocol. */
async function rawPeer(to: Station): Promise<Socket> {
  const socket = connect(to.port.path);
  socket.on('error', () => undefined);
  others.push(socket);
  await once(socket, 'connect');
  return socket;
}

function withLength(frame: Uint8Array, length = frame.length): Buffer {
  const bytes = Buffer.alloc(4 + frame.length);
  bytes.writeUInt32BE(length);
  bytes.set(frame, 4);
  return bytes;
}

describe('a peer of the hub', { skip, timeout: 60_000 }, () => {
  test('that sends a wrong length loses its connection, and the others stay', async () => {
    const [a, b] = [await Station.join(name), await Station.join(name)];
    const wrong = await rawPeer(a);
    wrong.resume().write(withLength(testFrame(ALL, C), 1 << 30));
    await once(wrong, 'close');
    await allJoined(a, b);
    await b.gets(a, testFrame(ALL, A));
    assert.equal(a.port.peers, 1);
  });

  test('that sends half a frame and stalls delays no other; a peer that ends in one is removed', async () => {
    const [a, b] = [await Station.join(name), await Station.join(name)];
    const slow = await rawPeer(a);
    slow.write(withLength(testFrame(ALL, C)).subarray(0, 30));
    await allJoined(a, b);
    await b.gets(a, testFrame(ALL, A));
    slow.resume().write(withLength(testFrame(ALL, C)).subarray(30));
    await b.until(() => b.received.length > 0);
    assert.deepEqual(b.received.splice(0), [testFrame(ALL, C)]);
    slow.write(withLength(testFrame(ALL, C)).subarray(0, 5));
    slow.destroy();
    await b.gets(a, testFrame(ALL, A));
  });

  test('that does not read costs bounded memory and no other its frames', async () => {
    const a = await Station.join(name);
    const stalled = await rawPeer(a);
    stalled.pause();
    const b = await Station.join(name);
    await allJoined(a, b);
    const frame = testFrame(ALL, A, { bytes: 1514 });
    const rounds = 40;
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < 50; i++) a.port.send(frame);
      await b.until(() => b.received.length === 50);
      b.received.length = 0;
    }
    const bytes = rounds * 50 * (frame.length + 4);
    assert.ok(bytes > 2 * MAX_PENDING_BYTES, `${bytes} bytes were sent`);
    // What the stalled peer gets now is what had been kept for it.
    let kept = 0;
    stalled.on('data', (part: Buffer) => (kept += part.length)).resume();
    while (kept < MAX_PENDING_BYTES) await once(stalled, 'data');
    a.port.send(testFrame(ALL, A));
    await b.until(() => b.received.length === 1);
    assert.ok(kept < bytes - MAX_PENDING_BYTES / 4, `${kept} of ${bytes} bytes were kept`);
  });

  test(`beyond ${MAX_HUB_PEERS} is refused, and joins when there is room`, async () => {
    const a = await Station.join(name);
    const peers: Socket[] = [];
    while (peers.length < MAX_HUB_PEERS) peers.push(await rawPeer(a));
    const late = await Station.join(name);
    await late.until(() => late.reports.length > 0);
    assert.match(late.reports[0] ?? '', /takes no more connections/);
    assert.equal(late.isUp, false);
    peers[0]?.destroy();
    await late.until(() => late.isUp);
    while (a.port.peers < MAX_HUB_PEERS) await turn();
    await late.gets(a, testFrame(ALL, A));
    assert.equal(late.reports.length, 1);
  });
});

const PEER = fileURLToPath(new URL('./fixtures/hub-peer.js', import.meta.url));

/** A process of its own on the hub. */
class Peer {
  readonly lines: string[] = [];
  readonly process: ChildProcess;
  #wake: () => void = () => undefined;

  constructor(hub: string, mac: string) {
    this.process = spawn(process.execPath, [PEER, hub, mac], { stdio: ['pipe', 'pipe', 'inherit'] });
    others.push(this.process);
    createInterface(this.process.stdout as NodeJS.ReadableStream).on('line', (line) => {
      this.lines.push(line);
      this.#wake();
    });
  }

  async prints(pattern: RegExp): Promise<void> {
    while (!this.lines.some((line) => pattern.test(line))) await new Promise<void>((resolve) => (this.#wake = resolve));
    this.lines.length = 0;
  }

  /** Sends until the others have received: one is connected before the server knows it. */
  async sends(mac: string, ...others: Peer[]): Promise<void> {
    const timer = setInterval(() => this.process.stdin?.write('send\n'), 50);
    await Promise.all(others.map((peer) => peer.prints(new RegExp(`from ${mac}`))));
    clearInterval(timer);
  }
}

test(
  'when the process that serves a hub is killed, another one takes its place',
  { skip, timeout: 60_000 },
  async () => {
    const first = new Peer(name, A);
    await first.prints(/up serving/);
    const [second, third] = [new Peer(name, B), new Peer(name, C)];
    await second.prints(/up connected/);
    await third.prints(/up connected/);
    await second.sends(B, first, third);
    first.process.kill('SIGKILL');
    await Promise.all([second.prints(/serves it now|connected again/), third.prints(/serves it now|connected again/)]);
    await third.sends(C, second);
    await second.sends(B, third);
    // The next one finds the hub.
    const fourth = new Peer(name, A);
    await fourth.prints(/up connected/);
    await third.sends(C, fourth);
  },
);
