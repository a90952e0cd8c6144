import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { sharesMessages } from './shared-output.js';

test('a console shares the place of the messages at a terminal and in one file, not in two', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'upcall-shared-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const [one, same, other] = ['one', 'one', 'other'].map((name) => openSync(join(folder, name), 'a')) as [
    number,
    number,
    number,
  ];
  assert.equal(sharesMessages({ isTTY: true, fd: one }, other), true);
  assert.equal(sharesMessages({ isTTY: false, fd: one }, same), true);
  assert.equal(sharesMessages({ isTTY: false, fd: one }, other), false);
  assert.equal(sharesMessages({}, other), false);
  for (const fd of [one, same, other]) closeSync(fd);
  assert.equal(sharesMessages({ fd: one }, same), false);
});
