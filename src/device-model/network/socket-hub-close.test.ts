/** A port of a hub that is closed while it joins again. Sockets and time are the test's own. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ByteStream } from '../../host/byte-stream.js';
import type { LocalSockets } from '../../host/local-sockets.js';
import { Deferred } from '../../sync/deferred.js';
import { SocketHubPort } from './socket-hub.js';

/** A connection to the process that serves the hub. */
class ServedStream implements ByteStream {
  readonly pendingBytes = 0;
  isClosed = false;
  /** The server ends the connection. */
  serverEnds: () => void = () => undefined;

  start(_onData: (bytes: Uint8Array) => void, onEnd: () => void): void {
    this.serverEnds = onEnd;
  }
  write(): void {
    // Nothing reads it.
  }
  end(): void {
    this.isClosed = true;
  }
  close(): void {
    this.isClosed = true;
  }
}

test('a port that is closed while it joins again leaves the link down and reports nothing', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const first = new ServedStream();
  const second = new ServedStream();
  const isTrying = new Deferred<undefined>();
  const joined = new Deferred<ByteStream>();
  const connections = [
    () => Promise.resolve<ByteStream>(first),
    () => {
      isTrying.resolve(undefined);
      return joined.promise;
    },
  ];
  const sockets: LocalSockets = {
    pathOf: (name) => name,
    // Another process has it.
    lock: () => undefined,
    listen: () => Promise.reject(new Error('the lock is not this one’s')),
    connect: () => connections.shift()?.() ?? Promise.reject(new Error('one connection too many')),
  };
  const links: boolean[] = [];
  const reports: string[] = [];
  const port = await SocketHubPort.join({ name: 'lab', report: (text) => reports.push(text), sockets });
  port.connect({ receive: () => undefined, setLink: (isUp) => links.push(isUp) });
  first.serverEnds();
  t.mock.timers.tick(1000);
  await isTrying.promise;
  const closed = port.close();
  joined.resolve(second);
  await closed;
  assert.deepEqual(links, [true, false]);
  assert.deepEqual(reports, ['hub lab: the process that served it has ended the connection']);
  assert.ok(second.isClosed);
});
