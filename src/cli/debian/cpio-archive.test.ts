import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CpioArchive } from './cpio-archive.js';
import { readCpio } from './fixtures/read-cpio.js';

test('directories, files, links and devices come back as they were added', () => {
  const archive = new CpioArchive();
  archive.directory('dev').characterDevice('dev/console', 5, 1).file('init', 'run', 0o755).link('sh', 'busybox');
  assert.deepEqual(readCpio(archive.bytes()), [
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
    assert.equal(readCpio(make())[0]?.content.length, length);
  }
});
