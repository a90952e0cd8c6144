import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as openpgp from 'openpgp';
import { ARCHIVE_KEYS } from './archive-key.js';

test('the pinned key is the stable release key of Debian 12, with its own signature', async () => {
  const keys = await Promise.all(ARCHIVE_KEYS.map((binaryKey) => openpgp.readKey({ binaryKey })));
  assert.deepEqual(
    keys.map((key) => key.getFingerprint().toUpperCase()),
    ['4D64FEC119C2029067D6E791F8D2585B8783D481'],
  );
  for (const key of keys) {
    assert.equal(key.isPrivate(), false);
    await key.verifyPrimaryKey(new Date('2026-01-01'));
    assert.equal(((await key.getExpirationTime()) as Date).getUTCFullYear(), 2031);
  }
});
