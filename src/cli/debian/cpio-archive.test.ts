import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CpioArchive } from './cpio-archive.js';

interface Entry {
  readonly path: string;
  readonly mode: number;
  readonly content: string;
  readonly device: readonly [number, number];
}

/** Reads an archive back by the description of the format. */
function entries(bytes: Buffer): Entry[] {
  const found: Entry[] = [];
  for (let at = 0; ;) {
    assert.equal(bytes.toString('latin1', at, at + 6), '070701');
    const field = (index: number): number =>
      Number.parseInt(bytes.toString('latin1', at + 6 + 8 * index, at + 14 + 8 * index), 16);
    const nameAt = at + 110;
    const contentAt = (nameAt + field(11) + 3) & ~3;
    const path = bytes.toString('latin1', nameAt, nameAt + field(11) - 1);
    if (path === 'TRAILER!!!') return found;
    const content = bytes.toString('latin1', contentAt, contentAt + field(6));
    found.push({ path, mode: field(1), content, device: [field(9), field(10)] });
    at = (contentAt + field(6) + 3) & ~3;
  }
}

test('directories, files, links and devices come back as they were added', () => {
  const archive = new CpioArchive();
  archive.directory('dev').characterDevice('dev/console', 5, 1).file('init', 'run', 0o755).link('sh', 'busybox');
  assert.deepEqual(entries(archive.bytes()), [
    { path: 'dev', mode: 0o040755, content: '', device: [0, 0] },
    { path: 'dev/console', mode: 0o020600, content: '', device: [5, 1] },
    { path: 'init', mode: 0o100755, content: 'run', device: [0, 0] },
    { path: 'sh', mode: 0o120777, content: 'busybox', device: [0, 0] },
  ]);
});

test('the archive is padded to words whatever the lengths, and is the same each time', () => {
  for (let length = 0; length < 5; length++) {
    const make = (): Buffer => new CpioArchive().file('n'.repeat(length + 1), 'c'.repeat(length)).bytes();
    assert.equal(make().length % 4, 0);
    assert.deepEqual(make(), make());
    assert.equal(entries(make())[0]?.content.length, length);
  }
});
