import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLinuxAtLeast } from './kernel-version.js';

test('versions of Linux are compared by number', () => {
  for (const [version, isNewEnough] of [
    ['6.18.0-rc1', true],
    ['6.18.44-fc', true],
    ['6.100.0', true],
    ['7.0', true],
    ['6.17.13', false],
    ['6.9.3-200.fc40.x86_64', false],
    ['5.19.0', false],
  ] as const)
    assert.equal(isLinuxAtLeast([6, 18], version), isNewEnough, version);
});
