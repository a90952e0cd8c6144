/**
 * `--port NAME=FILE` or `NAME=unix:SOCKET`: a port of the virtio console with a name, for programs
 * of the guest and of the host.
 *
 * Called by: commands/run.ts.
 */

import { resolve } from 'node:path';
import { isPortName, MAX_NAMED_PORTS } from '../device-model/virtio/console/virtio-console.js';
import { UpcallError } from '../io-request/upcall-error.js';

export interface PortOption {
  /** As it was given. */
  readonly text: string;
  readonly name: string;
  /** `file`: gets what the guest writes. `socket`: where programs of the host connect. */
  readonly kind: 'file' | 'socket';
  readonly path: string;
}

/** Bytes of a Unix socket's path, without the 0 at its end: unix(7). */
const MAX_SOCKET_PATH = 107;
const SOCKET = 'unix:';
const FORM =
  'Write NAME=unix:SOCKET or NAME=FILE, for example --port org.example.agent=unix:agent.sock or --port log=guest.log';

/** Throws OPTION_INVALID, also for a name or a path that another port has. */
export function addPort(text: string, given: readonly PortOption[]): PortOption[] {
  const added = parsePort(text);
  for (const { name, path } of given) {
    if (name === added.name) throw invalid(text, `another port has the name ${name}`, 'Give each port its own name');
    if (resolve(path) === resolve(added.path))
      throw invalid(text, `another port has ${path}`, 'Give each port a file or a socket of its own');
  }
  if (given.length === MAX_NAMED_PORTS)
    throw invalid(text, `${MAX_NAMED_PORTS} ports are given already`, 'Leave out some of them');
  return [...given, added];
}

function parsePort(text: string): PortOption {
  const equals = text.indexOf('=');
  if (equals === -1) throw invalid(text, 'the name or the other end is missing', FORM);
  const name = text.slice(0, equals);
  const end = text.slice(equals + 1);
  if (!isPortName(name))
    throw invalid(
      text,
      `invalid name of a port: "${name}"`,
      'Use 1 to 64 letters, digits, dots, hyphens and underscores, for example org.example.agent',
    );
  const isSocket = end.startsWith(SOCKET);
  const path = isSocket ? end.slice(SOCKET.length) : end;
  if (path === '') throw invalid(text, `the ${isSocket ? 'socket' : 'file'} is missing`, FORM);
  if (isSocket && Buffer.byteLength(path) > MAX_SOCKET_PATH)
    throw invalid(text, `the path of a socket has at most ${MAX_SOCKET_PATH} bytes`, 'Give a shorter path');
  return { text, name, kind: isSocket ? 'socket' : 'file', path };
}

function invalid(text: string, fact: string, remedy: string): UpcallError {
  return new UpcallError('OPTION_INVALID', `--port ${text}: ${fact}`, { remedy });
}
