/**
 * The live page under connections without the token. Time stands still unless a test moves it, so
 * that each limit is tested alone.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { FakeTiming } from '../sync/fixtures/fake-timing.js';
import { JUDGE_MS } from '../sync/timer-lateness.js';
import { withBench, type LiveBench } from './fixtures/live-bench.js';
import { PageClient } from './fixtures/page-client.js';
import { PageServer } from './page-server.js';
import { CloseCode, CONNECTION_POOLS, HEARTBEAT_MS } from './protocol.js';

const LIMIT = { timeout: 60_000 };
/** More than any pool has room for. */
const FLOOD = 1000;

/** Connections that are never closed by their own side. */
class Crowd {
  readonly #origin: URL;
  readonly #sockets: Socket[] = [];
  #closed = 0;
  #onClose: () => void = () => undefined;

  constructor(origin: string) {
    this.#origin = new URL(origin);
  }

  /** Opens `count` connections, which send `text` and do not read. */
  join(count: number, text: string): void {
    for (let i = 0; i < count; i++) {
      const socket = connect({ port: Number(this.#origin.port), host: this.#origin.hostname, allowHalfOpen: true });
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.#closed++;
        this.#onClose();
      });
      if (text !== '') socket.write(text);
      socket.once('end', () => socket.destroy());
      socket.resume();
      this.#sockets.push(socket);
    }
  }

  get open(): number {
    return this.#sockets.length - this.#closed;
  }

  /** Resolves when the server has closed all but `count`. */
  async shrinksTo(count: number): Promise<void> {
    while (this.open > count) await new Promise<void>((resolve) => (this.#onClose = resolve));
  }

  leave(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** Opens a page with the token as a browser does: its file first. */
async function openAsBrowser({ view, page }: LiveBench): Promise<PageClient> {
  const response = await fetch(`${view.origin}/`);
  assert.match(await response.text(), /<title>page/);
  return page();
}

/** Fails if the page does not get a reply. */
async function isServed(page: PageClient, id: number): Promise<void> {
  await page.send({ kind: 'detach', id });
  await page.message('done', (reply) => reply.id === id);
}

const upgrade = ({ view }: LiveBench): string =>
  `GET /live HTTP/1.1\r\nHost: ${new URL(view.origin).host}\r\nOrigin: ${view.origin}\r\nConnection: Upgrade\r\n` +
  'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';

describe('connections without the token', LIMIT, () => {
  const kinds = [
    { name: 'silent sockets', pool: 'silent', text: () => '' },
    { name: 'half requests', pool: 'silent', text: () => 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ' },
    { name: 'WebSockets without hello', pool: 'hello', text: upgrade },
  ] as const;
  for (const { name, pool, text } of kinds)
    test(`${FLOOD} ${name} keep no page out and end no page, and are closed after their time`, async () => {
      const timing = new FakeTiming();
      await withBench(
        { steps: [] },
        async (bench) => {
          const crowd = new Crowd(bench.view.origin);
          try {
            const before = await bench.page();
            crowd.join(FLOOD, text(bench));
            const during = await openAsBrowser(bench);
            const { most, ms } = CONNECTION_POOLS[pool];
            await crowd.shrinksTo(most);
            const after = await openAsBrowser(bench);
            for (const page of [before, during, after]) await isServed(page, 1);
            timing.hold(ms * 10);
            timing.pass(ms - 1);
            await isServed(before, 2);
            // The owner's own connections were in the pool too, for a moment.
            assert.ok(crowd.open > most - 10, `${crowd.open} of ${most}`);
            timing.pass(1 + JUDGE_MS);
            await crowd.shrinksTo(0);
            for (const page of [before, during, after]) await isServed(page, 3);
          } finally {
            crowd.leave();
          }
        },
        { timing },
      );
    });

  test('a wrong token, however often, ends its own connection only', async () => {
    await withBench(
      { steps: [] },
      async ({ view, page }) => {
        const owner = await page();
        const guesses = Array.from({ length: 300 }, async (_, i) => {
          const stranger = new PageClient(view.origin);
          await stranger.send({ kind: 'hello', token: `${i}`.padStart(view.token.length, 'A') });
          return stranger.closed;
        });
        const codes = new Set(await Promise.all(guesses));
        assert.ok(codes.has(CloseCode.NOT_ALLOWED));
        codes.delete(CloseCode.NOT_ALLOWED);
        // Evicted before its hello was read.
        codes.delete(1006);
        assert.deepEqual([...codes], []);
        await isServed(owner, 1);
        await isServed(await page(), 1);
      },
      { timing: new FakeTiming() },
    );
  });

  test('a request closes its connection, and a second one on it is not answered', async () => {
    await withBench({ steps: [] }, async ({ view }) => {
      const socket = connect(Number(new URL(view.origin).port), '127.0.0.1');
      let received = '';
      socket.on('data', (bytes: Buffer) => (received += bytes.toString()));
      const get = 'GET /none HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';
      socket.write(get + get);
      await once(socket, 'close');
      assert.equal(received.match(/^HTTP\/1\.1 404/gm)?.length, 1, received);
      assert.match(received, /^connection: close/im);
    });
  });
});

describe('a page with the token', LIMIT, () => {
  test('has no time limit while it answers pings, and is disconnected when it stops', async () => {
    const timing = new FakeTiming();
    await withBench(
      { steps: [] },
      async ({ page }) => {
        const [awake, asleep] = [await page(), await page()];
        timing.pass(1);
        asleep.pause();
        for (let id = 1; id <= 3; id++) {
          await isServed(awake, id);
          timing.pass(HEARTBEAT_MS + JUDGE_MS);
        }
        asleep.resume();
        assert.equal(await asleep.closed, 1006);
        await isServed(awake, 4);
      },
      { timing },
    );
  });
});

describe('/metrics', LIMIT, () => {
  /** More than the buffers of a connection. */
  const METRICS = 'x'.repeat(16 * 1024 * 1024);

  test('scrapers that never read take no place from another scraper or a page, and are closed after their time', async () => {
    const timing = new FakeTiming();
    const server = await PageServer.open({
      host: '127.0.0.1',
      port: 0,
      token: 'secret',
      pageFolder: new URL('./none/', import.meta.url),
      metrics: () => METRICS,
      onPage: () => undefined,
      timing,
    });
    const scrapers: Socket[] = [];
    const { most, ms } = CONNECTION_POOLS.metrics;
    try {
      const scrape = `GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer secret\r\n\r\n`;
      for (let i = 0; i < most; i++) {
        const socket = connect(Number(new URL(server.origin).port), '127.0.0.1');
        socket.on('error', () => undefined);
        socket.write(scrape);
        // The first bytes are there, so the server is answering.
        await once(socket, 'readable');
        scrapers.push(socket);
      }
      const response = await fetch(`${server.origin}/metrics`, { headers: { authorization: 'Bearer secret' } });
      assert.equal((await response.text()).length, METRICS.length);
      assert.equal((await fetch(`${server.origin}/metrics`)).status, 401);
      timing.pass(ms + JUDGE_MS);
      for (const socket of scrapers) {
        socket.resume();
        await once(socket, 'close');
        assert.ok(socket.bytesRead < METRICS.length);
      }
    } finally {
      for (const socket of scrapers) socket.destroy();
      await server.close();
    }
  });
});
