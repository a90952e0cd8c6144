/**
 * openLocalSockets: the method of Host for streams between processes. They are Unix sockets in a
 * folder that only their user can enter.
 *
 * Called by: node-host.ts, which loads it on demand.
 */

import { rmSync } from 'node:fs';
import { createServer, connect, type Socket } from 'node:net';
import { join } from 'node:path';
import type { ByteStream } from '../../byte-stream.js';
import type { LocalServer, LocalSockets } from '../../local-sockets.js';
import { runtimeFolder } from '../runtime-folder.js';
import { SocketStream } from '../socket-stream.js';
import { lockFile } from './file-lock.js';
import { loadLibc } from './libc.js';
import { MAX_SOCKET_PATH } from './unix-sockets.js';

/**
 * Undefined on other systems than Linux, and without koffi. Throws if the folder is not private, or
 * its path too long for sockets.
 */
export function openLocalSockets(): LocalSockets | undefined {
  if (loadLibc() === undefined) return undefined;
  const folder = runtimeFolder();
  const pathOf = (name: string): string => {
    const path = join(folder, name);
    if (Buffer.byteLength(path) > MAX_SOCKET_PATH)
      throw new Error(`${path} has more than ${MAX_SOCKET_PATH} bytes, too many for a socket`);
    return path;
  };
  return {
    pathOf,
    lock: (name) => lockFile(pathOf(name)),
    listen: (name, onConnection) => listenAt(pathOf(name), onConnection),
    connect: (name) => connectTo(pathOf(name)),
  };
}

async function listenAt(path: string, onConnection: (stream: ByteStream) => void): Promise<LocalServer> {
  rmSync(path, { force: true });
  const server = createServer((socket) => onConnection(new SocketStream(socket)));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  // Errors of connections that cannot be accepted. The other side sees its connection end.
  server.on('error', () => undefined);
  server.unref();
  // Node removes the socket's file, and waits until the connections have ended. The caller ends
  // them.
  return { close: () => new Promise((resolve) => server.close(() => resolve())) };
}

function connectTo(path: string): Promise<ByteStream> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(path);
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(new SocketStream(socket));
    });
  });
}
