import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { Ioctl } from '../acrn-hsm/ioctl-codes.js';
import { VM_CREATION } from '../acrn-hsm/struct-layout.js';
import { StructView } from '../acrn-hsm/struct-view.js';
import { closeDescriptor, socketPair } from '../host/node/linux/descriptors.js';
import { requireLibc } from '../host/node/linux/libc.js';
import { MESSAGE_BYTES, UnixSockets } from '../host/node/linux/unix-sockets.js';
import { V86Hypervisor } from '../hypervisor/v86/v86-hypervisor.js';
import { Errno } from '../io-request/errno.js';
import { PAGE_BYTES } from '../io-request/layout.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { ServiceVm } from '../vm/service-vm.js';
import { AcrnServer } from './acrn-server.js';
import { compileClient, missing, Running } from './fixtures/programs.js';
import { MAX_CONNECTIONS, type ProgramSocket } from './program-socket.js';
import { lineText, MAGIC, Operation, replyResult, requestBytes } from './shim-messages.js';
import { compileShim, shimEnvironment } from './shimmed-program.js';

const skip = missing() ?? false;
const folder = mkdtempSync(join(tmpdir(), 'upcall-socket-'));
after(() => rmSync(folder, { recursive: true }));

describe('the server’s socket', { skip }, () => {
  let serviceVm: ServiceVm;
  let server: AcrnServer;
  let socket: ProgramSocket;
  let client = '';
  let sockets: UnixSockets;
  const reports: string[] = [];
  const ended: (() => void)[] = [];
  const changed: (() => void)[] = [];

  before(async () => {
    client = compileClient(folder);
    sockets = new UnixSockets();
    serviceVm = new ServiceVm(new V86Hypervisor({ translate: false }), {});
    server = await AcrnServer.create(serviceVm, {
      tracksWrites: false,
      asServiceVm: false,
      report: (text) => reports.push(text),
      onFilesChanged: () => changed.splice(0).forEach((resolve) => resolve()),
      onVm: (vm) => vm.onEvent(({ kind }) => kind === 'ended' && ended.splice(0).forEach((resolve) => resolve())),
    });
    socket = server.listen(join(folder, 'hsm'));
  });
  after(async () => {
    await server.close();
    await serviceVm.close();
  });
  beforeEach(() => reports.splice(0));

  const run = (mode: string): Running => new Running(client, [mode], shimEnvironment(compileShim(folder), socket));

  /** A request with a socket for the reply. Returns the result, or 'closed'. */
  async function call(fd: number, operation: number, more: Partial<Parameters<typeof requestBytes>[0]> = {}) {
    const [own, given] = socketPair();
    const request = { operation, call: 1n, argument: 0n, code: 0, descriptor: -1, ...more };
    sockets.send(fd, requestBytes(request), [given.fd]);
    closeDescriptor(given.fd);
    const received = await receive(own.fd);
    closeDescriptor(own.fd);
    return received === 'closed' ? received : replyResult(received.bytes);
  }

  async function receive(fd: number) {
    for (;;) {
      const message = sockets.receive(fd);
      if (message !== undefined) return message;
      await new Promise<void>((resolve) => {
        const handle = requireLibc().poll(fd, () => {
          handle.close();
          resolve();
        });
      });
    }
  }

  const word = new Uint32Array([MAGIC]);
  const probe = (): { readonly argument: bigint } => ({ argument: requireLibc().address(word) });

  test('is for its user only, and its name is that of the server', () => {
    assert.equal(statSync(socket.path).mode & 0o777, 0o600);
    const fd = sockets.connect(socket.path);
    assert.equal(sockets.peerPath(fd), socket.path);
    assert.equal(sockets.peer(fd).pid, process.pid);
    closeDescriptor(fd);
  });

  test('is refused to a second server, as is a file that is not a socket', () => {
    assert.throws(() => server.listen(socket.path), { code: 'OPTION_INVALID', message: /another server/ });
    const file = join(folder, 'file');
    writeFileSync(file, 'kept');
    assert.throws(() => server.listen(file), { code: 'OPTION_INVALID', message: /not a socket/ });
    assert.equal(readFileSync(file, 'latin1'), 'kept');
    assert.throws(() => server.listen(`/tmp/${'x'.repeat(200)}`), UpcallError);
    assert.throws(() => server.listen(join(folder, 'absent', 'hsm')), { code: 'TOOL_FAILED' });
  });

  test('opens a file for a peer whose memory it can read', async () => {
    const fd = sockets.connect(socket.path);
    assert.equal(await call(fd, Operation.OPEN, probe()), 0);
    assert.equal(server.files.count, 1);
    // Without a VM.
    assert.equal(await call(fd, Operation.IOCTL, { code: 0xa212 }), Errno.EINVAL);
    closeDescriptor(fd);
    await new Promise<void>((resolve) => changed.push(resolve));
    assert.equal(server.files.count, 0);
  });

  test('refuses a peer whose memory it cannot read', async () => {
    const fd = sockets.connect(socket.path);
    assert.equal(await call(fd, Operation.OPEN, { argument: 16n }), Errno.EPERM);
    assert.match(reports.join(), /memory of process \d+ cannot be accessed/);
    closeDescriptor(fd);
  });

  const magicless = requestBytes({ operation: Operation.OPEN, call: 1n, argument: 0n, code: 0, descriptor: -1 });
  magicless[0] = 0;
  const plain = (operation: number, descriptor = -1): Uint8Array =>
    requestBytes({ operation, call: 1n, argument: 0n, code: 0xa233, descriptor });
  const INVALID: readonly (readonly [name: string, bytes: Uint8Array, descriptors: number])[] = [
    ['too short', new Uint8Array(3), 1],
    ['too long', new Uint8Array(200), 1],
    ['of another version', magicless, 1],
    ['of no known operation', plain(99), 1],
    ['an OPEN without a socket for the reply', plain(Operation.OPEN), 0],
    ['an OPEN with another descriptor', plain(Operation.OPEN), 2],
    ['with more descriptors than any has', plain(Operation.OPEN), 4],
    ['an ioctl before OPEN', plain(Operation.IOCTL), 1],
    ['an interrupt before OPEN', plain(Operation.INTERRUPT), 0],
    ['MAPPED before OPEN', plain(Operation.MAPPED), 0],
    ['a listener before LAUNCH', plain(Operation.LISTENER), 2],
  ];
  for (const [name, bytes, count] of INVALID)
    test(`closes the connection after a message that is invalid: ${name}`, async () => {
      const fd = sockets.connect(socket.path);
      const ends = [...socketPair(), ...socketPair()].map((end) => end.fd);
      sockets.send(fd, bytes, ends.slice(0, count));
      assert.equal(await receive(fd), 'closed');
      assert.match(reports.join(), /sent an invalid message/);
      [fd, ...ends].forEach(closeDescriptor);
    });

  const INVALID_LATER: readonly (readonly [name: string, bytes: Uint8Array, descriptors: number])[] = [
    ['a second OPEN', plain(Operation.OPEN), 1],
    ['LAUNCH', plain(Operation.LAUNCH), 1],
    ['a descriptor that is not named', plain(Operation.IOCTL), 2],
    ['a descriptor that did not come along', plain(Operation.IOCTL, 5), 1],
    ['MAPPED that was not asked for', plain(Operation.MAPPED), 0],
    ['an interrupt with a descriptor', plain(Operation.INTERRUPT), 1],
  ];
  for (const [name, bytes, count] of INVALID_LATER)
    test(`closes an open file after a message that is invalid: ${name}`, async () => {
      const fd = sockets.connect(socket.path);
      assert.equal(await call(fd, Operation.OPEN, probe()), 0);
      const ends = [...socketPair()].map((end) => end.fd);
      sockets.send(fd, bytes, ends.slice(0, count));
      assert.equal(await receive(fd), 'closed');
      assert.equal(server.files.count, 0);
      [fd, ...ends].forEach(closeDescriptor);
    });

  test('keeps no descriptor that comes where only replies go', async () => {
    const before = readdirSync('/proc/self/fd').length;
    const fd = sockets.connect(socket.path);
    assert.equal(await call(fd, Operation.OPEN, probe()), 0);
    const libc = requireLibc();
    const memory = new Uint8Array(2 * PAGE_BYTES);
    const page = libc.address(memory) + (-libc.address(memory) & BigInt(PAGE_BYTES - 1));
    const creation = new StructView(VM_CREATION).set('ioreq_buf', page);
    const ends: number[] = [];
    /** As `call`, but the socket for the reply stays open. */
    const begin = (operation: number, id: bigint, code: number, argument = 0n): number => {
      const [own, given] = socketPair();
      sockets.send(fd, requestBytes({ operation, call: id, argument, code, descriptor: -1 }), [given.fd]);
      closeDescriptor(given.fd);
      ends.push(own.fd);
      return own.fd;
    };
    const created = begin(Operation.IOCTL, 1n, Ioctl.CREATE_VM, libc.address(creation.bytes));
    const mapping = await receive(created);
    assert.ok(mapping !== 'closed' && mapping.descriptors.length === 1);
    mapping.descriptors.forEach(closeDescriptor);
    const mapped = { operation: Operation.MAPPED, call: 1n, argument: 0n, code: 0, descriptor: -1 };
    sockets.send(fd, requestBytes(mapped));
    assert.notEqual(await receive(created), 'closed');
    assert.equal(await call(fd, Operation.IOCTL, { code: Ioctl.CREATE_IOREQ_CLIENT }), 0);
    for (let id = 2n; id < 40n; id++)
      sockets.send(begin(Operation.IOCTL, id, Ioctl.ATTACH_IOREQ_CLIENT), plain(0), [created]);
    assert.equal(await call(fd, Operation.IOCTL, { call: 99n, code: Ioctl.START_VM }), 0);
    [fd, ...ends].forEach(closeDescriptor);
    await new Promise<void>((resolve) => ended.push(resolve));
    while (server.files.count > 0) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(readdirSync('/proc/self/fd').length, before);
  });

  test('relays lines to the launcher of a process, and counts those above a limit per second', async () => {
    assert.equal(server.relayOf(process.pid), undefined);
    const fd = sockets.connect(socket.path);
    assert.equal(await call(fd, Operation.LAUNCH), 0);
    assert.equal(server.relayOf(1), undefined);
    const relay = server.relayOf(process.pid);
    assert.ok(relay !== undefined);
    const next = (): string | undefined => {
      const message = sockets.receive(fd);
      assert.notEqual(message, 'closed');
      return message === undefined || message === 'closed' ? undefined : lineText(message.bytes);
    };
    relay('x'.repeat(2 * MESSAGE_BYTES));
    assert.equal(next(), 'x'.repeat(MESSAGE_BYTES - 4));
    const LINES = 1000;
    for (let i = 0; i < LINES; i++) relay(`${i}`);
    let got = 0;
    let line: string | undefined;
    // Until a second has passed.
    while (line?.endsWith('are at the server only') !== true) {
      relay('late');
      line = next();
      if (line === `${got}`) got++;
      await new Promise((resolve) => setImmediate(resolve));
    }
    const [, lost] = /^(\d+) lines are/.exec(line) ?? [];
    assert.ok(got >= 10 && got < LINES / 2, `${got}`);
    assert.ok(Number(lost) >= LINES - got, `${lost} ${got}`);
    closeDescriptor(fd);
    // The connection is closed when the server notices.
    while (server.relayOf(process.pid) !== undefined) await new Promise((resolve) => setImmediate(resolve));
    relay('lost');
  });

  test('takes nothing but a listener from a launcher', async () => {
    const fd = sockets.connect(socket.path);
    assert.equal(await call(fd, Operation.LAUNCH), 0);
    const ends = [...socketPair()].map((end) => end.fd);
    sockets.send(fd, plain(Operation.LISTENER), ends);
    assert.equal(await receive(fd), 'closed');
    [fd, ...ends].forEach(closeDescriptor);
  });

  test('closes connections beyond its limit, and serves again when others are closed', async () => {
    const fds: number[] = [];
    // One at a time: the queue of connections that are not accepted is short.
    for (let i = 0; i < MAX_CONNECTIONS; i++) {
      const fd = sockets.connect(socket.path);
      fds.push(fd);
      if (i % 32 === 0) assert.equal(await call(fd, Operation.LAUNCH), 0);
    }
    const last = sockets.connect(socket.path);
    assert.equal(await receive(last), 'closed');
    assert.match(reports.join(), /is refused: there are \d+ connections/);
    [last, ...fds].forEach(closeDescriptor);
    const fd = sockets.connect(socket.path);
    while ((await call(fd, Operation.OPEN, probe())) !== 0);
    closeDescriptor(fd);
    await new Promise<void>((resolve) => changed.push(resolve));
  });

  test('ends the VM of a program that is killed', async () => {
    const program = run('waits');
    await program.printed(/vmid/);
    const vmEnded = new Promise<void>((resolve) => ended.push(resolve));
    program.child.kill('SIGKILL');
    await vmEnded;
    assert.equal((await program.ended).signal, 'SIGKILL');
    const { status, output } = await run('requests').ended;
    assert.equal(status, 0, output);
  });

  test('gives programs that run at the same time VMs of their own', async () => {
    const programs = [run('waits'), run('waits')];
    const vmIds = await Promise.all(programs.map(async (one) => (await one.printed(/vmid (\d+)/))[1]));
    assert.notEqual(vmIds[0], vmIds[1]);
    programs.forEach(({ child }) => child.kill('SIGKILL'));
    await Promise.all(programs.map((one) => one.ended));
  });

  test('refuses other users', { skip: process.getuid?.() === 0 ? false : 'this is not root' }, async () => {
    chmodSync(folder, 0o755);
    chmodSync(socket.path, 0o666);
    const other = ['--reuid', '65534', '--regid', '65534', '--clear-groups', client, 'requests'];
    const program = new Running('setpriv', other, shimEnvironment(compileShim(folder), socket));
    const { output } = await program.ended;
    chmodSync(socket.path, 0o600);
    assert.match(output, /^open -19$/m);
    assert.match(reports.join(), /user 65534 may not use this server/);
  });

  test('is removed at the end', () => {
    const path = join(folder, 'short');
    const short = server.listen(path);
    short.close();
    assert.equal(existsSync(path), false);
  });
});

describe('the shim', { skip }, () => {
  test('is compiled once', () => {
    const file = compileShim(folder);
    const { mtimeMs } = statSync(file);
    assert.equal(compileShim(folder), file);
    assert.equal(statSync(file).mtimeMs, mtimeMs);
  });

  test('needs a compiler, and a folder whose name LD_PRELOAD can hold', () => {
    assert.throws(() => compileShim('/a b'), { code: 'TOOL_FAILED', message: /space/ });
    const path = process.env['PATH'];
    process.env['PATH'] = folder;
    try {
      assert.throws(() => compileShim(folder), { code: 'TOOL_MISSING', remedy: /gcc/ });
    } finally {
      process.env['PATH'] = path;
    }
  });

  test('keeps other preloaded libraries', () => {
    const { LD_PRELOAD, UPCALL_HSM_SOCKET } = shimEnvironment('/s.so', { path: '/hsm' }, { LD_PRELOAD: 'a.so' });
    assert.deepEqual([LD_PRELOAD, UPCALL_HSM_SOCKET], ['/s.so:a.so', '/hsm']);
  });
});
