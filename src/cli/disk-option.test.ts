import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { addDisk, parseDisk } from './disk-option.js';

const folder = mkdtempSync(join(tmpdir(), 'upcall-'));
after(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'disk.img');
writeFileSync(file, new Uint8Array(512));

test('a disk is a file, with words behind it in any order', () => {
  const plain = { text: file, file, isReadOnly: false, queues: 1, inOwnThread: false };
  assert.deepEqual(parseDisk(file), plain);
  const text = `${file},queues=16,thread,ro`;
  assert.deepEqual(parseDisk(text), { text, file, isReadOnly: true, queues: 16, inOwnThread: true });
  const over = `${file},format=qcow2,overlay=x=y.qcow2`;
  assert.deepEqual(parseDisk(over), { ...plain, text: over, format: 'qcow2', overlay: 'x=y.qcow2' });
  assert.deepEqual(addDisk(`${file},ro`, [plain]), [plain, { ...plain, text: `${file},ro`, isReadOnly: true }]);
});

test('what is no disk is refused with the reason', () => {
  for (const [text, message] of [
    ['', /the file is missing/],
    [',ro', /the file is missing/],
    [`${file},`, /unknown word ""/],
    [`${file},rw`, /unknown word "rw"/],
    [`${file},ro=1`, /unknown word "ro=1"/],
    [`${file},RO`, /unknown word "RO"/],
    [`${file},ro,ro`, /ro is given twice/],
    [`${file},queues=1,queues=2`, /queues is given twice/],
    [`${file},overlay`, /the overlay's file is missing/],
    [`${file},overlay=`, /the overlay's file is missing/],
    [`${file},format`, /unknown format ""/],
    [`${file},format=vmdk`, /unknown format "vmdk"/],
    [`${file},__proto__`, /unknown word "__proto__"/],
    ...['', '=', '=0', '=17', '=-1', '=1.5', '=0x2', '=x'].map(
      (value) => [`${file},queues${value}`, /1 to 16 queues/] as const,
    ),
  ] as const)
    assert.throws(() => parseDisk(text), { code: 'OPTION_INVALID', message }, text);
});

test('a missing file is refused before anything else is done, with a command that makes one', () => {
  assert.throws(() => parseDisk(join(folder, 'none')), {
    code: 'DISK_UNAVAILABLE',
    message: /none: no such file$/,
    remedy: /truncate -s 1G .*none$/,
  });
});
