import assert from 'node:assert/strict';
import { test } from 'node:test';
import { socketNames } from './serve-session.js';

test('the VMs of served cards are named after their sockets, each by a name of its own', () => {
  assert.deepEqual(socketNames(['a/card.sock', 'disk', 'b/card.sock', 'card.socket']), [
    'card',
    'disk',
    'card-2',
    'card-3',
  ]);
});
