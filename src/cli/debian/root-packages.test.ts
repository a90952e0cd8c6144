import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withDependencies, type PackageList } from './root-packages.js';

function listOf(packages: Record<string, string>, provided: Record<string, string[]> = {}): PackageList {
  return {
    show: (name) => (packages[name] === undefined ? undefined : new Map([['Depends', packages[name]]])),
    providers: (name) => provided[name] ?? [],
  };
}

test('each package comes once, with all that it depends on', () => {
  const list = listOf({ a: 'b (>= 1), c:any', b: 'c, a', c: '' });
  assert.deepEqual(withDependencies(['a'], list), { chosen: ['a', 'b', 'c'], missing: [] });
});

test('of alternatives one that is chosen already counts, then the first that exists', () => {
  const list = listOf({ a: 'x | y | z', y: '', z: '', b: '' }, { x: ['b'] });
  assert.deepEqual(withDependencies(['a', 'z'], list).chosen, ['a', 'z']);
  assert.deepEqual(withDependencies(['a', 'b'], list).chosen, ['a', 'b']);
  assert.deepEqual(withDependencies(['a'], list).chosen, ['a', 'b']);
  assert.deepEqual(withDependencies(['a'], listOf({ a: 'x | y', y: '' })).chosen, ['a', 'y']);
});

test('what is missing is named', () => {
  const list = listOf({ a: 'gone | lost' });
  assert.deepEqual(withDependencies(['a', 'b'], list).missing, ['gone | lost', 'b']);
});
