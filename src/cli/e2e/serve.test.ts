/** `upcall serve` as a process, with a client at its socket. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Command, Region } from '../../vfio-user/protocol.js';
import { message, parse, transfer, version } from '../../vfio-user/fixtures/test-client.js';
import { MAIN, start } from './upcall-process.js';

const folder = mkdtempSync(join(tmpdir(), 'upcall-serve-'));
after(() => rmSync(folder, { recursive: true }));
const copier = fileURLToPath(new URL('../../../examples/devices/copier.js', import.meta.url));
const counter = fileURLToPath(new URL('../../../examples/devices/read-counter.js', import.meta.url));

async function run(...parameters: string[]) {
  return start(process.execPath, [MAIN, 'serve', ...parameters]).ended;
}

function serve(socket: string, device: string, ...more: string[]) {
  return start(process.execPath, [MAIN, 'serve', '--vfio-user', socket, '--device', device, ...more]);
}

test('a card is served until a signal ends it, and its statistics are printed', async () => {
  const socket = join(folder, 'card');
  const serving = serve(socket, `${copier}@pci`, '--stats');
  await new Promise<void>((resolve) =>
    serving.child.stderr.on('data', () => {
      if (existsSync(socket)) resolve();
    }),
  );
  const client = connect(socket);
  client.write(message(1, Command.VERSION, version()));
  assert.equal(parse(Buffer.from((await once(client, 'data'))[0] as Buffer)).error, 0);
  client.write(message(2, Command.REGION_READ, transfer(Region.CONFIG, 0, 4)));
  const reply = parse(Buffer.from((await once(client, 'data'))[0] as Buffer));
  assert.equal(reply.payload.getUint32(16, true), 0x0c09_1234);
  serving.child.kill('SIGINT');
  const { status, stderr } = await serving.ended;
  assert.equal(status, 0, stderr);
  assert.match(stderr, /copier\.js@pci is served\. QEMU: -device '\{"driver":"vfio-user-pci"/);
  assert.match(stderr, /has the card\n/);
  assert.match(stderr, /requests/);
  assert.equal(existsSync(socket), false);
});

test('with several cards, each line and each table says whose it is', async () => {
  const sockets = ['first', 'second'].map((name) => join(folder, `${name}.sock`));
  const cards = sockets.flatMap((socket) => ['--vfio-user', socket, '--device', `${copier}@pci`]);
  const serving = start(process.execPath, [MAIN, 'serve', ...cards, '--page', '--stats']);
  await new Promise<void>((resolve) => {
    let text = '';
    serving.child.stderr.on('data', (bytes: Buffer) => {
      text += bytes.toString();
      if (text.split('live page').length === 3) resolve();
    });
  });
  serving.child.kill('SIGINT');
  const { stderr } = await serving.ended;
  for (const name of ['first', 'second']) {
    assert.match(stderr, new RegExp(`^upcall: ${name}: .*copier\\.js@pci is served\\.`, 'm'));
    assert.match(stderr, new RegExp(`^upcall: ${name}: the live page is at `, 'm'));
    assert.match(stderr, new RegExp(`^upcall: ${name}: its requests$`, 'm'));
  }
});

test('with --watch, each save replaces the card under its client', async () => {
  const socket = join(folder, 'watched');
  const module = join(folder, 'watched.mjs');
  const card = (value: number): string => `export default class {
    name = 'watched';
    pci = { vendor: 0x1234, device: 1, class: 0xff0000, bars: [{ type: 'memory', size: 4096 }] };
    read() { return ${value}; }
    write() {}
  }`;
  writeFileSync(module, card(1));
  const serving = serve(socket, `${module}@pci`, '--watch');
  const seen = (pattern: RegExp): Promise<void> =>
    new Promise((resolve) => {
      let text = '';
      serving.child.stderr.on('data', (bytes: Buffer) => {
        text += String(bytes);
        if (pattern.test(text)) resolve();
      });
    });
  await seen(/is served/);
  const client = connect(socket);
  const request = async (command: number, payload: Uint8Array): Promise<DataView> => {
    client.write(message(1, command, payload));
    return parse(Buffer.from((await once(client, 'data'))[0] as Buffer)).payload;
  };
  await request(Command.VERSION, version());
  await request(Command.REGION_WRITE, transfer(Region.CONFIG, 4, 2, 2));
  assert.equal((await request(Command.REGION_READ, transfer(0, 0, 4))).getUint32(16, true), 1);
  const reloaded = seen(/watched.*(replaced|reloaded)/);
  writeFileSync(module, card(2));
  await reloaded;
  assert.equal((await request(Command.REGION_READ, transfer(0, 0, 4))).getUint32(16, true), 2);
  serving.child.kill('SIGINT');
  assert.equal((await serving.ended).status, 0);
});

const wrong: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['no socket', ['--device', `${copier}@pci`], /0 --vfio-user and 1 card: each socket has one card/],
  ['no card', ['--vfio-user', join(folder, 'a')], /1 --vfio-user and 0 cards/],
  [
    'a device at ports',
    ['--vfio-user', join(folder, 'a'), '--device', `${counter}@0x500`],
    /vfio-user has PCI cards only/,
  ],
  ['a thread', ['--vfio-user', join(folder, 'a'), '--device', `${copier}@pci,thread`], /has no thread of its own/],
  ['no folder', ['--vfio-user', join(folder, 'x/a'), '--device', `${copier}@pci`], /x\/a: bind\(2\) failed: ENOENT/],
  ['an empty path', ['--vfio-user', '', '--device', `${copier}@pci`], /the path of the socket is empty/],
  ['a folder', ['--vfio-user', folder, '--device', `${copier}@pci`], /there is a file or a folder. Give another path/],
  [
    'a long path',
    ['--vfio-user', `/tmp/${'x'.repeat(108)}`, '--device', `${copier}@pci`],
    /107 bytes. Give a shorter path/,
  ],
];

for (const [what, parameters, expected] of wrong)
  test(`${what} is refused with a remedy`, async () => {
    const { status, stderr } = await run(...parameters);
    assert.equal(status, 2, stderr);
    assert.match(stderr, expected);
  });
