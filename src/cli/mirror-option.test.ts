import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMirror } from './mirror-option.js';

test('a mirror is the URL of a folder, by HTTP or HTTPS', () => {
  assert.equal(parseMirror('https://deb.debian.org/debian/'), 'https://deb.debian.org/debian');
  assert.equal(parseMirror('http://cache.local:3142/debian'), 'http://cache.local:3142/debian');
});

test('anything else is refused with an example', () => {
  for (const text of ['', 'deb.debian.org', 'file:///srv/debian', 'https://x/debian?y', 'https://x/#y'])
    assert.throws(() => parseMirror(text), { code: 'OPTION_INVALID', remedy: /https:\/\/deb\.debian\.org\/debian/ });
});
