import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { ScriptedHypervisor } from '../hypervisor/scripted/scripted-hypervisor.js';
import { ServiceVm } from '../vm/service-vm.js';
import { ClientList } from './client-list.js';
import { PageHolds } from './page-holds.js';
import { PageConnection } from './page-connection.js';
import type { PageMessage } from './protocol.js';

/** A socket of ws whose stream records each write. */
class Line extends EventEmitter {
  readonly readyState = WebSocket.OPEN;
  readonly bufferedAmount = 0;
  readonly stream = new PassThrough();
  readonly writes: string[] = [];
  pings = 0;

  constructor() {
    super();
    this.stream._write = (chunk: Buffer, _, done): void => {
      this.writes.push(chunk.toString());
      done();
    };
    this.stream._writev = (chunks: { readonly chunk: Buffer }[], done): void => {
      this.writes.push(chunks.map(({ chunk }) => chunk.toString()).join('|'));
      done();
    };
  }

  send(data: Uint8Array | string): void {
    this.stream.write(Buffer.from(data as string));
  }

  ping(): void {
    this.pings++;
  }

  close(): void {
    assert.fail('the connection must stay open');
  }

  receive(message: PageMessage): void {
    this.emit('message', Buffer.from(JSON.stringify(message)), false);
  }

  /** The writes since the last call, at the end of this turn. */
  async written(): Promise<string[]> {
    await new Promise(setImmediate);
    return this.writes.splice(0);
  }
}

test('messages of one turn are one write, and frames of the slots are queued until the flush', async () => {
  const serviceVm = new ServiceVm(new ScriptedHypervisor([{ steps: [] }]));
  const vm = await serviceVm.createUserVm({ memoryMiB: 1 });
  const line = new Line();
  const page = new PageConnection({
    socket: line as unknown as WebSocket,
    stream: line.stream,
    token: 'secret',
    vm,
    clients: new ClientList(vm.inspection),
    holds: new PageHolds(vm.debugger, false, () => undefined),
    console: undefined,
    initialMessages: () => [{ kind: 'ended', reason: 'stopped', message: 'a' }],
    admit: () => true,
    onWatchChange: () => undefined,
  });
  const frame = (name: string): void => page.queueFrame(Buffer.from(name));
  frame('before the token');
  page.flushFrames();
  assert.deepEqual(await line.written(), []);

  line.receive({ kind: 'hello', token: 'secret' });
  page.send({ kind: 'ended', reason: 'stopped', message: 'b' });
  const [first, ...more] = await line.written();
  assert.deepEqual([first?.split('|').length, more], [2, []]);

  line.receive({ kind: 'watch', slots: true, tables: false, moves: null });
  frame('1');
  frame('2');
  assert.deepEqual(await line.written(), ['1'], 'the first frame is sent at once');
  frame('3');
  assert.deepEqual(await line.written(), []);
  page.flushFrames();
  page.send({ kind: 'done', id: 1 });
  assert.deepEqual(await line.written(), ['23|{"kind":"done","id":1}']);
  page.flushFrames();
  assert.deepEqual(await line.written(), [], 'nothing new');

  frame('4');
  line.receive({ kind: 'watch', slots: false, tables: false, moves: null });
  page.flushFrames();
  assert.deepEqual(await line.written(), [], 'a page that stopped watching gets no frame');
  line.emit('close');
  await serviceVm.close();
});
