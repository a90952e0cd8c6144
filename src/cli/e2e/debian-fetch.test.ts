/** `upcall run debian` whose fetch does not end: an apt-get that waits forever stands in for it. */

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, test } from 'node:test';
import { MAIN, start, type Started } from './upcall-process.js';

const folder = mkdtempSync(join(tmpdir(), 'upcall-fetch-'));
after(() => rmSync(folder, { recursive: true }));
const tools = join(folder, 'tools');
mkdirSync(tools);
writeFileSync(join(tools, 'apt-get'), '#!/bin/sh\nexec sleep 600\n', { mode: 0o755 });
const cache = join(folder, 'upcall/debian');

function fetching(...words: string[]): Started {
  const env = { PATH: `${tools}${delimiter}${process.env['PATH'] ?? ''}`, XDG_CACHE_HOME: folder };
  return start(process.execPath, [MAIN, 'run', 'debian', ...words], { env, limitMs: 60_000 });
}

test('--timeout ends the fetch with status 3 and a remedy, and nothing is left behind', async () => {
  const { status, stderr } = await fetching('--timeout', '2').ended;
  assert.equal(status, 3, stderr);
  assert.match(stderr, /upcall: Debian was not fetched within the 2 s of --timeout\. Run upcall run debian once/);
  assert.deepEqual(readdirSync(cache), []);
});

for (const [signal, status] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)
  test(`${signal} ends the fetch, and nothing is left behind`, async () => {
    const session = fetching();
    await new Promise((resolve) => session.child.stderr.once('data', resolve));
    session.child.kill(signal);
    const ended = await session.ended;
    assert.equal(ended.status, status, ended.stderr);
    assert.match(ended.stderr, new RegExp(`upcall: ended by ${signal}, before the guest was started\n`));
    assert.deepEqual(readdirSync(cache), []);
  });
