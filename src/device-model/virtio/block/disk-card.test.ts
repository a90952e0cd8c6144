import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openDisk } from '../../disk/open-disk.js';
import { openDiskCard } from './disk-card.js';

test('a card that cannot be made of a disk leaves its file closed, for the next one', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'disk-card-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'disk.raw');
  writeFileSync(file, new Uint8Array(512));
  const options = { name: 'disk', file, isReadOnly: false, queues: 1, id: 'longer than twenty characters' };
  await assert.rejects(
    openDiskCard(options, () => undefined),
    RangeError,
  );
  // A file that is open in this process is refused.
  const { image } = await openDisk({ file });
  await image.close();
});
