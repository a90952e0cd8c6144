import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { shareMounts } from './debian/share-mounts.js';
import { addShare, shareCard } from './share-option.js';

const folder = mkdtempSync(join(tmpdir(), 'upcall-share-option-'));
writeFileSync(join(folder, 'file'), '');
after(() => rmSync(folder, { recursive: true }));

test('a share has a folder, rw and a tag, in any order', () => {
  const [first] = addShare(folder, []);
  assert.deepEqual(first, { text: folder, folder, isWritable: false, inOwnThread: false, tag: 'share' });
  assert.deepEqual(addShare(`${folder},tag=a.b-c_1,rw,thread`, []), [
    { text: `${folder},tag=a.b-c_1,rw,thread`, folder, isWritable: true, inOwnThread: true, tag: 'a.b-c_1' },
  ]);
});

test('wrong words, tags and folders are refused with the reason', () => {
  const refused = (text: string, message: RegExp): void =>
    assert.throws(() => addShare(text, []), { code: 'OPTION_INVALID', message }, text);
  refused('', /the folder is missing$/);
  refused(',rw', /the folder is missing$/);
  refused(`${folder},ro`, /expected rw, thread or tag=NAME, each once, not "ro"$/);
  refused(`${folder},`, /not ""$/);
  refused(`${folder},rw,rw`, /not "rw"$/);
  refused(`${folder},thread,thread`, /not "thread"$/);
  refused(`${folder},tag=a,tag=b`, /not "tag=b"$/);
  for (const tag of ['', 'a/b', '..', '.', 'x'.repeat(32), 'a b', 'ä'])
    refused(`${folder},tag=${tag}`, /invalid tag "/);
  refused(join(folder, 'none'), /none is not there$/);
  refused(join(folder, 'file'), /file is not a folder$/);
});

test('two shares need two tags', () => {
  const shares = addShare(folder, []);
  assert.throws(() => addShare(`${folder},rw`, shares), { code: 'OPTION_INVALID', message: /the tag share$/ });
  assert.equal(addShare(`${folder},tag=b`, shares).length, 2);
});

test(
  'the card of a share is a 9P device, and closes its folder',
  { skip: process.platform !== 'linux' && 'not Linux' },
  async () => {
    const [share] = addShare(folder, []);
    assert.ok(share);
    const card = await shareCard(share).create(undefined as never);
    assert.ok('pci' in card);
    assert.deepEqual([card.name, card.pci.device], ['virtio-9p share', 0x1049]);
    await card.close?.();
    const apart = await shareCard({ ...share, inOwnThread: true }).create(undefined as never);
    assert.ok('module' in apart, 'a card for a thread of its own is opened there');
    await assert.rejects(shareCard({ ...share, folder: join(folder, 'none') }).create(undefined as never), {
      code: 'OPTION_INVALID',
      message: /ENOENT/,
    });
  },
);

test('the mount table has a line for each share', () => {
  assert.equal(shareMounts([]).length, 0);
  const text = shareMounts([
    { tag: 'a', isWritable: false },
    { tag: 'b', isWritable: true },
  ]).toString('latin1');
  assert.match(text, /a \/mnt\/a 9p trans=virtio,version=9p2000\.L,msize=512000,nodev,nosuid,ro 0 0\n/);
  assert.match(text, /\nb \/mnt\/b 9p \S+,rw 0 0\n/);
  assert.match(text, /mnt\/a\0/);
});
