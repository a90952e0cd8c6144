import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClientWrappers, type WrapClient } from './client-wrappers.js';
import type { IoClient } from '../hsm/io-client.js';

const client: IoClient = { name: 'own', notify: () => undefined };
const around =
  (name: string): WrapClient =>
  (inner) => ({ name: `${name}(${inner.name})`, notify: () => undefined });

test('without wrappers the HSM gets the original client', () => {
  const wrappers = new ClientWrappers([]);
  assert.equal(wrappers.of(client), client);
  assert.equal(wrappers.original(client), client);
});

test('the first wrapper is the innermost, and each client is wrapped once', () => {
  const wrappers = new ClientWrappers([around('a'), around('b')]);
  const wrapped = wrappers.of(client);
  assert.equal(wrapped.name, 'b(a(own))');
  assert.equal(wrappers.of(client), wrapped);
  assert.equal(wrappers.original(wrapped), client);
});

test('the original of each wrapper is the operator’s client', () => {
  const inner: IoClient[] = [];
  const wrappers = new ClientWrappers([around('a'), (one) => (inner.push(one), around('b')(one, false))]);
  const wrapped = wrappers.of(client);
  const [between = client] = inner;
  assert.equal(wrappers.of(between), wrapped);
  assert.equal(wrappers.of(wrapped), wrapped);
  assert.equal(wrappers.original(between), client);
});

test('a wrapper is called with whether the client is the default one', () => {
  const calls: boolean[] = [];
  const wrappers = new ClientWrappers([(one, isDefault) => (calls.push(isDefault), one)]);
  wrappers.of(client);
  wrappers.ofDefault({ ...client });
  assert.deepEqual(calls, [false, true]);
});

test('a wrapper may return the client itself', () => {
  const wrappers = new ClientWrappers([(one) => one]);
  assert.equal(wrappers.of(client), client);
  assert.equal(wrappers.original(client), client);
});
