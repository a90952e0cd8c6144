import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { guestSources } from './guest-sources.js';

const TARGETS = 'http://mirror/debian/ bookworm main\nhttp://mirror/debian/ bookworm main\ncdrom://x bookworm main\n';

test('sources that a guest can reach are taken over once, with proxies and what counts of dates', async () => {
  const dump = [
    'Acquire::http::Proxy "http://proxy:3128";',
    'Acquire::https::deb.debian.org::Proxy "DIRECT";',
    'Acquire::Check-Valid-Until "false";',
    'Acquire::http::Proxy-Auto-Detect "/usr/bin/proxy";',
    'DPkg::Post-Invoke:: "rm -r /";',
    'Acquire::https::CAInfo "/nowhere";',
  ];
  assert.deepEqual(await guestSources(TARGETS, dump.join('\n')), {
    lines: ['deb http://mirror/debian/ bookworm main'],
    configuration: dump.slice(0, 3),
    certificates: [],
  });
});

test('with a source by HTTPS the guest gets the certificates that the machine’s apt uses', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'upcall-sources-'));
  const file = join(folder, 'ca.pem');
  await writeFile(file, 'certificate');
  const { certificates } = await guestSources('https://mirror/ bookworm main', `Acquire::https::CAInfo "${file}";`);
  assert.deepEqual(certificates, [{ path: 'etc/ssl/certs/ca-certificates.crt', content: Buffer.from('certificate') }]);
  await rm(folder, { recursive: true });
});
