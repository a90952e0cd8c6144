import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openEventFds } from './event-fds.js';

const fds = openEventFds();
const skip = fds === undefined ? 'eventfds need Linux and the package koffi' : false;

test('the eventfds that have a signal are found among several', { skip }, () => {
  assert.ok(fds !== undefined);
  const all = [fds.create(), fds.create(), fds.create()];
  const [first, second, third] = all as [number, number, number];
  assert.deepEqual([fds.readableOf([]), fds.readableOf(all)], [[], []]);
  fds.write(first);
  fds.write(third);
  fds.write(third);
  assert.deepEqual(fds.readableOf([third, second, first]), [third, first]);
  assert.deepEqual([fds.read(third), fds.read(second)], [2n, 0n]);
  assert.deepEqual(fds.readableOf(all), [first]);
  fds.close(second);
  // Its number is no descriptor any more.
  assert.deepEqual(fds.readableOf(all), [first]);
  fds.close(first);
  fds.close(third);
});
