/** Every response has the headers and ends its connection, whichever part of Node is behind it. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { HEADERS } from './page-headers.js';
import { PageServer } from './page-server.js';
import { LIVE_PATH } from './protocol.js';

const HOST = 'Host: 127.0.0.1';
const UPGRADE = 'Connection: Upgrade\r\nUpgrade: websocket\r\nOrigin: http://127.0.0.1';

let server: PageServer;

before(async () => {
  server = await PageServer.open({
    host: '127.0.0.1',
    port: 0,
    token: 'secret',
    pageFolder: new URL('./none/', import.meta.url),
    metrics: () => '',
    onPage: () => undefined,
  });
});

after(() => server.close());

/** All that the server answers until it closes the connection. */
async function answer(request: string): Promise<string> {
  const socket = connect(Number(new URL(server.origin).port), '127.0.0.1');
  let text = '';
  socket.setEncoding('latin1').on('data', (data: string) => (text += data));
  socket.write(request);
  await once(socket, 'close');
  return text;
}

describe('a response of the live page', () => {
  for (const [what, status, request] of [
    ['to an unknown path', 404, `GET /none HTTP/1.1\r\n${HOST}\r\n\r\n`],
    ['to an unknown expectation', 417, `GET / HTTP/1.1\r\n${HOST}\r\nExpect: foo\r\n\r\n`],
    ['to an unknown expectation from elsewhere', 403, 'GET / HTTP/1.1\r\nHost: evil.example\r\nExpect: foo\r\n\r\n'],
    ['to a body that waits', 405, `POST / HTTP/1.1\r\n${HOST}\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n`],
    ['without a host', 403, 'GET / HTTP/1.1\r\n\r\n'],
    ['to what is not HTTP', 400, '\0\xff\r\n\r\n'],
    ['to a header that is too long', 431, `GET / HTTP/1.1\r\n${HOST}\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`],
    ['to an upgrade from elsewhere', 403, `GET /other HTTP/1.1\r\n${HOST}\r\n${UPGRADE}\r\n\r\n`],
    ['to an upgrade without a key', 400, `GET ${LIVE_PATH} HTTP/1.1\r\n${HOST}\r\n${UPGRADE}\r\n\r\n`],
  ] as const)
    test(`${what} is one ${status} with the headers, and the connection ends`, { timeout: 10_000 }, async () => {
      const text = await answer(request);
      const [first = '', ...lines] = text.split('\r\n\r\n')[0]?.split('\r\n') ?? [];
      assert.match(first, new RegExp(`^HTTP/1.1 ${status} `));
      for (const [name, value] of Object.entries(HEADERS)) assert.ok(lines.includes(`${name}: ${value}`), name);
      assert.equal(text.split('HTTP/1.1 ').length, 2, 'one response');
    });

  test('is not followed by another one to junk behind its request', { timeout: 10_000 }, async () => {
    const text = await answer(`GET /none HTTP/1.1\r\n${HOST}\r\n\r\n\0\xff`);
    assert.equal(text.split('HTTP/1.1 ').length, 2);
  });
});
