import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UpcallError } from '../io-request/upcall-error.js';
import { PageServer } from './page-server.js';

const options = {
  token: 'secret',
  pageFolder: new URL('./none/', import.meta.url),
  metrics: () => '',
  onPage: () => undefined,
};

test('a port in use or an address of another machine is refused with the address, the reason and a remedy', async () => {
  const first = await PageServer.open({ ...options, host: '127.0.0.1', port: 0 });
  const port = Number(new URL(first.origin).port);
  try {
    for (const [host, message, remedy] of [
      [
        '127.0.0.1',
        `the page cannot be served at 127.0.0.1:${port}: another program listens there`,
        /Give another port/,
      ],
      // Of a block that is for documents only (RFC 5737).
      ['192.0.2.1', `the page cannot be served at 192.0.2.1:${port}: this machine has no such address`, /--page-host/],
    ] as const)
      await assert.rejects(PageServer.open({ ...options, host, port }), (error: unknown) => {
        assert.ok(error instanceof UpcallError && error.code === 'OPTION_INVALID');
        assert.equal(error.message, message);
        assert.match(error.remedy ?? '', remedy);
        return true;
      });
  } finally {
    await first.close();
  }
});
