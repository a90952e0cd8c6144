import assert from 'node:assert/strict';
import { request } from 'node:http';
import { describe, test } from 'node:test';
import type { ScriptStep } from '../hypervisor/scripted/scripted-hypervisor.js';
import { standardPc } from '../vm/standard-pc.js';
import { withBench } from './fixtures/live-bench.js';
import { GuestConsole } from './guest-console.js';
import { LiveView } from './live-view.js';
import { PageClient } from './fixtures/page-client.js';
import { CloseCode, frameBytes, FrameKind, FrameOffset, MAX_PAGES } from './protocol.js';
import { decodeSlotsFrame } from './view/slots-frame.js';

const LIMIT = { timeout: 120_000 };
const read = (address: number): ScriptStep => ({ type: 'port', direction: 'read', address, size: 1 });
/** A request with a chosen Host header, which fetch does not allow. */
function get(
  url: string,
  headers: Readonly<Record<string, string>> = {},
  method = 'GET',
): Promise<{ readonly status: number; readonly body: string; readonly headers: NodeJS.Dict<string | string[]> }> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { headers, method }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString()));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body, headers: response.headers }));
    });
    sent.on('error', reject);
    sent.end();
  });
}

test('a page that cannot be served leaves no listener behind', LIMIT, async () => {
  class CountedConsole extends GuestConsole {
    listeners = 0;

    override onBytes(listener: (bytes: Uint8Array) => void): () => void {
      const remove = super.onBytes(listener);
      this.listeners++;
      return () => {
        this.listeners--;
        remove();
      };
    }
  }
  await withBench({ steps: [] }, async ({ vm, view }) => {
    const console = new CountedConsole((bytes) => bytes.length);
    const port = Number(new URL(view.origin).port);
    await assert.rejects(LiveView.open({ vm, version: '', hypervisor: '', console, port }), { code: 'OPTION_INVALID' });
    assert.equal(console.listeners, 0);
  });
});

describe('access control of the live page', LIMIT, () => {
  test('the page and its files are served with a content security policy, and no other file of the folder is', async () => {
    await withBench({ steps: [] }, async ({ view }) => {
      const page = await get(`${view.origin}/`);
      assert.equal(page.status, 200);
      assert.match(page.body, /<title>page/);
      assert.equal(page.headers['cache-control'], 'no-store');
      const policy = String(page.headers['content-security-policy']);
      assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';/);
      assert.doesNotMatch(policy, /unsafe-|data:|\*/);
      assert.equal(page.headers['referrer-policy'], 'no-referrer');
      const asset = await get(`${view.origin}/assets/app-1234.js`);
      assert.equal(asset.status, 200);
      assert.match(String(asset.headers['cache-control']), /immutable/);
      for (const path of ['/notes.txt', '/../package.json', '/%2e%2e/package.json', '/index.html/', '/live', '//'])
        assert.equal((await get(view.origin + path)).status, 404, path);
    });
  });

  test('a page that is not built gives 503, and the metrics are still served', async () => {
    await withBench(
      { steps: [] },
      async ({ view }) => {
        const page = await get(`${view.origin}/`);
        assert.equal(page.status, 503);
        assert.match(page.body, /not built/);
        assert.equal((await get(`${view.origin}/metrics`, { authorization: `Bearer ${view.token}` })).status, 200);
      },
      { isBuilt: false },
    );
  });

  test('foreign hosts, foreign origins and other methods are refused', async () => {
    await withBench({ steps: [] }, async ({ view }) => {
      const { port } = new URL(view.origin);
      for (const [headers, method, status] of [
        [{ host: 'evil.example' }, 'GET', 403],
        [{ host: `evil.example:${port}` }, 'GET', 403],
        [{ host: `127.0.0.1.evil.example:${port}` }, 'GET', 403],
        [{ origin: 'http://evil.example' }, 'GET', 403],
        [{ origin: 'null' }, 'GET', 403],
        [{ origin: 'http://127.0.0.1:1' }, 'GET', 403],
        [{ host: `localhost:${port}` }, 'GET', 200],
        [{ host: `[::1]:${port}` }, 'GET', 200],
        [{}, 'HEAD', 200],
        [{}, 'POST', 405],
        [{}, 'DELETE', 405],
        [{}, 'OPTIONS', 405],
      ] as const)
        assert.equal((await get(`${view.origin}/`, headers, method)).status, status, JSON.stringify(headers) + method);
      for (const headers of [
        { origin: 'http://evil.example' },
        { origin: view.origin, host: `evil.example:${port}` },
        {},
      ] as Record<string, string>[])
        assert.equal(await new PageClient(view.origin, headers).closed, 403, JSON.stringify(headers));
    });
  });

  test('the metrics require the token', async () => {
    await withBench({ steps: [read(0x500), read(0x500)] }, async ({ vm, view }) => {
      await vm.start();
      await vm.ended;
      for (const query of ['', '?token=', '?token=wrong'])
        assert.equal((await get(`${view.origin}/metrics${query}`)).status, 401, query);
      const { status, body } = await get(`${view.origin}/metrics?token=${view.token}`);
      assert.equal(status, 200);
      assert.match(body, /^upcall_requests_total\{vm="bench",range="default: port".* 2$/m);
    });
  });

  test('a connection without the token gets nothing, and a wrong token closes it', async () => {
    await withBench({ steps: [] }, async ({ view, typed }) => {
      for (const first of [
        '{"kind":"hello","token":"wrong"}',
        '{"kind":"hello","token":""}',
        '{"kind":"type","text":"rm"}',
        '{"kind":"watch","slots":true,"tables":true,"moves":{}}',
      ]) {
        const client = new PageClient(view.origin);
        await client.sendText(first);
        assert.equal(await client.closed, CloseCode.NOT_ALLOWED, first);
        assert.deepEqual([client.messages, client.frames], [[], []]);
      }
      assert.deepEqual(typed, []);
    });
  });

  test('malformed, too many and too long messages close the connection', async () => {
    await withBench({ steps: [] }, async ({ page }) => {
      for (const text of ['{', '{"kind":"reboot"}', Buffer.from('{"kind":"detach","id":1}')]) {
        const client = await page();
        await client.sendText(text);
        assert.equal(await client.closed, CloseCode.BAD_MESSAGE);
      }
      const long = await page();
      await long.sendText(JSON.stringify({ kind: 'type', text: 'x'.repeat(20_000) }));
      assert.equal(await long.closed, 1009);
      const many = await page();
      for (let id = 0; id < 2000; id++) await many.send({ kind: 'type', text: '' });
      assert.equal(await many.closed, CloseCode.BAD_MESSAGE);
    });
  });

  test('the number of open pages has a limit', async () => {
    await withBench({ steps: [] }, async ({ view, page }) => {
      for (let i = 0; i < MAX_PAGES; i++) await page();
      const another = new PageClient(view.origin);
      await another.send({ kind: 'hello', token: view.token });
      assert.equal(await another.closed, CloseCode.TOO_MANY);
    });
  });
});

describe('a page receives', LIMIT, () => {
  test('the bytes, client and hold of each slot', async () => {
    await withBench({ steps: [read(0x3fd)] }, async ({ vm, page }) => {
      standardPc(vm);
      vm.debugger.add({ at: 'complete' });
      await vm.start();
      await vm.debugger.stopped();
      const client = await page();
      const { clients } = await client.message('clients');
      await client.send({ kind: 'watch', slots: true, tables: false, moves: null });
      // The first frame alone, then several per message.
      await client.until(() => client.frames.length >= 3 && client.frames.length > client.slotMessages);
      const [first, , third] = client.frames;
      assert.ok(first !== undefined && third !== undefined);
      assert.equal(first.length, frameBytes(16), 'the first frame has all slots');
      assert.equal(third.length, frameBytes(1), 'the others have those of the vCPUs');
      assert.equal(third[FrameOffset.kind], FrameKind.SLOTS);
      const [all, one] = [decodeSlotsFrame(first), decodeSlotsFrame(third)];
      const slot = one?.slots[0];
      assert.ok(all !== undefined && one !== undefined && slot !== undefined);
      assert.deepEqual([all.slots.length, one.slots.length, one.vcpus], [16, 1, 1]);
      assert.equal(one.sequence, all.sequence + 2);
      assert.ok(one.timeMs > all.timeMs);
      const { state, address, held, moves, client: owner, bytes } = slot;
      assert.deepEqual([state, address, held, moves], ['PROCESSING', '0x3fd', 'complete', 2]);
      assert.equal(clients[owner ?? -1]?.name, 'uart16550');
      assert.ok(slot.ageNs > (all.slots[0]?.ageNs ?? Infinity));
      assert.deepEqual(Buffer.from(bytes), Buffer.from(new Uint8Array(vm.buffer.page, 0, 256)));
    });
  });

  test('the end of the VM, even if the server closes at that moment', async () => {
    await withBench({ steps: [] }, async ({ vm, view, page }) => {
      const client = await page();
      vm.onEvent(({ kind }) => void (kind === 'ended' && view.close()));
      await vm.start();
      assert.equal((await client.message('ended')).reason, 'halted');
      assert.equal(await client.closed, CloseCode.ENDED);
    });
  });

  test('the tables and moves of the requests that are made while it watches', async () => {
    await withBench({ steps: [read(0x500)], repeat: 100 }, async ({ vm, page }) => {
      const client = await page();
      await client.send({ kind: 'watch', slots: false, tables: true, moves: { first: '0x500' } });
      await client.message('tables');
      await vm.start();
      const tables = await client.message('tables', ({ requests }) => requests === 100);
      assert.deepEqual(
        tables.unclaimed.map(({ name, reads }) => [name, reads]),
        [['port 0x500', 100]],
      );
      assert.equal(tables.clients[0]?.name, 'default');
      assert.ok((tables.clients[0].all?.p99Ns ?? 0) > 0);
      assert.equal(client.frames.length, 0);
    });
    await withBench({ steps: [read(0x500)], repeat: 10 }, async ({ vm, page }) => {
      const client = await page();
      await client.send({ kind: 'watch', slots: false, tables: false, moves: { first: '0x500' } });
      // The reply comes after the watch has taken effect.
      await client.send({ kind: 'detach', id: 7 });
      await client.message('done');
      await vm.start();
      const { moves } = await client.message('moves');
      assert.deepEqual(
        { ...moves[1], timeNs: 0 },
        {
          timeNs: 0,
          isTimed: true,
          vcpu: 0,
          from: 'PENDING',
          to: 'PROCESSING',
          by: 'hsm',
          client: 'default',
          request: { type: 'port', direction: 'read', address: '0x500', size: 1, value: '0x0' },
          requestNumber: 0,
          isRefused: false,
        },
      );
    });
  });

  test('the history and new output of the console, and its input reaches the guest', async () => {
    await withBench({ steps: [] }, async ({ console, page, typed }) => {
      console.write(Buffer.from('before '));
      const client = await page();
      const received = (): string => client.frames.map((bytes) => bytes.subarray(1).toString()).join('');
      await client.until(() => received() === 'before ');
      console.write(Buffer.from('and after'));
      await client.until(() => received() === 'before and after');
      await client.send({ kind: 'type', text: 'ls ☃\r' });
      await client.send({ kind: 'detach', id: 1 });
      await client.message('done');
      assert.deepEqual(typed, ['ls ☃\r']);
    });
  });

  test('the registers of a device, without a side effect on the device', async () => {
    await withBench({ steps: [] }, async ({ vm, page }) => {
      const { uart } = standardPc(vm);
      uart.receive(Buffer.from('A'));
      const client = await page();
      const { clients } = await client.message('clients');
      const number = clients.findIndex(({ name }) => name === 'uart16550');
      for (let id = 0; id < 3; id++) {
        await client.send({ kind: 'peek', id, client: number });
        const { registers, source } = await client.message('registers', (message) => message.id === id);
        assert.match(source, /PC16550D/);
        const value = (name: string): string | null | undefined => registers.find((one) => one.name === name)?.value;
        assert.deepEqual([value('RBR'), value('LSR'), value('THR')], ['0x41', '0x61', null]);
      }
      await client.send({ kind: 'peek', id: 9, client: 0 });
      const host = await client.message('registers');
      assert.deepEqual([host.registers[0]?.name, host.registers[0]?.value], ['pci 00:00.0 VID', '0x8086']);
      await client.send({ kind: 'peek', id: 10, client: 99 });
      assert.match((await client.message('done')).error ?? '', /no such client/);
    });
  });
});

test('a page holds a port read, changes its value and releases it, and other pages see it', LIMIT, async () => {
  await withBench({ steps: [read(0x500), read(0x501)] }, async ({ vm, page, values }) => {
    const [client, other] = [await page(), await page()];
    await client.send({ kind: 'break', id: 1, breakpoint: { at: 'complete', first: '0x501', direction: 'read' } });
    assert.equal((await client.message('done')).error, undefined);
    await client.send({ kind: 'break', id: 2, breakpoint: { at: 'pending', expression: 'value ==' } });
    assert.match((await client.message('done')).error ?? '', /ends too early/);
    await vm.start();
    const { stops, breakpoints } = await other.message('stops', (message) => message.stops.length > 0);
    assert.deepEqual(
      [stops[0]?.request.address, stops[0]?.request.value, stops[0]?.canChange],
      ['0x501', '0xff', true],
    );
    assert.deepEqual(breakpoints, [
      { at: 'complete', first: '0x501', last: '0x501', direction: 'read', number: 1, hits: 1 },
    ]);
    await client.send({ kind: 'change', id: 3, vcpu: 0, value: '0x100' });
    assert.match((await client.message('done', ({ id }) => id === 3)).error ?? '', /does not fit 8 bits/);
    await client.send({ kind: 'change', id: 4, vcpu: 0, value: '0x5a' });
    await client.send({ kind: 'go', id: 5, vcpu: 0 });
    await client.message('done', ({ id }) => id === 5);
    await vm.ended;
    assert.deepEqual((await values)[0]?.values, [0xffn, 0x5an]);
    await client.send({ kind: 'go', id: 6, vcpu: 0 });
    assert.match((await client.message('done', ({ id }) => id === 6)).error ?? '', /no request of vCPU 0 is held/);
  });
});
