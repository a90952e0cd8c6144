import assert from 'node:assert/strict';
import test from 'node:test';

import { KEY_QUEUE_LIMIT, Ps2Keyboard } from './ps2-keyboard.js';

function drain(keyboard: Ps2Keyboard): number[] {
  const bytes: number[] = [];
  while (keyboard.hasByte) bytes.push(keyboard.take());
  return bytes;
}

function ask(keyboard: Ps2Keyboard, ...bytes: number[]): number[] {
  return bytes.flatMap((byte) => {
    keyboard.receive(byte);
    return drain(keyboard);
  });
}

test('answers the commands with which a host probes for a keyboard', () => {
  const keyboard = new Ps2Keyboard();
  assert.deepEqual(ask(keyboard, 0xff), [0xfa, 0xaa]);
  assert.deepEqual(ask(keyboard, 0xf2), [0xfa, 0xab, 0x83]);
  assert.deepEqual(ask(keyboard, 0xed, 0x02), [0xfa, 0xfa]);
  assert.equal(keyboard.leds, 2);
  assert.deepEqual(ask(keyboard, 0xf3, 0x00), [0xfa, 0xfa]);
  assert.deepEqual(ask(keyboard, 0xf4), [0xfa]);
  assert.deepEqual(ask(keyboard, 0xee), [0xee]);
  assert.deepEqual(ask(keyboard, 0xf6), [0xfa]);
  assert.deepEqual(ask(keyboard, 0x00), [0xfe], 'no command');
});

test('sends the codes of keys while it scans', () => {
  const keyboard = new Ps2Keyboard();
  assert.equal(keyboard.press([0x1c]), true);
  assert.equal(keyboard.press([0xf0, 0x1c]), true);
  assert.deepEqual(drain(keyboard), [0x1c, 0xf0, 0x1c]);
  ask(keyboard, 0xf5);
  assert.equal(keyboard.press([0x1c]), false);
  assert.equal(keyboard.hasByte, false);
  ask(keyboard, 0xf4);
  assert.equal(keyboard.press([0x1c]), true);
});

test('sends set 1 on command, and refuses set 3', () => {
  const keyboard = new Ps2Keyboard();
  assert.deepEqual(ask(keyboard, 0xf0, 0x00), [0xfa, 0xfa, 0x02]);
  assert.deepEqual(ask(keyboard, 0xf0, 0x03), [0xfa, 0xfe]);
  assert.deepEqual(ask(keyboard, 0xf0, 0x01), [0xfa, 0xfa]);
  keyboard.press([0xf0, 0x1c]);
  assert.deepEqual(drain(keyboard), [0x9e]);
  assert.deepEqual(ask(keyboard, 0xf0, 0x00), [0xfa, 0xfa, 0x01]);
});

test('a command in place of a parameter is a command', () => {
  const keyboard = new Ps2Keyboard();
  assert.deepEqual(ask(keyboard, 0xed, 0xf2), [0xfa, 0xfa, 0xab, 0x83]);
  assert.equal(keyboard.leds, 0);
});

test('sends its last byte again', () => {
  const keyboard = new Ps2Keyboard();
  ask(keyboard, 0xf2);
  assert.deepEqual(ask(keyboard, 0xfe), [0x83]);
});

test('a new command ends the answers to the one before', () => {
  const keyboard = new Ps2Keyboard();
  keyboard.receive(0xf2);
  keyboard.receive(0xee);
  assert.deepEqual(drain(keyboard), [0xee]);
});

test('a full buffer drops complete keys, and sends the overrun code once', () => {
  const keyboard = new Ps2Keyboard();
  for (let i = 0; i < 100; i++) keyboard.press([0xe0, 0x75]);
  const bytes = drain(keyboard);
  assert.ok(bytes.length <= KEY_QUEUE_LIMIT);
  assert.equal(bytes.filter((byte) => byte === 0xe0).length, bytes.filter((byte) => byte === 0x75).length);
  assert.deepEqual(
    bytes.filter((byte) => byte === 0x00),
    [0x00],
  );
  assert.equal(keyboard.droppedKeys, 100 - bytes.filter((byte) => byte === 0x75).length);
  assert.equal(keyboard.press([0x1c]), true, 'and takes keys again');
});

test('a key of more bytes than the buffer has is dropped', () => {
  const keyboard = new Ps2Keyboard();
  assert.equal(keyboard.press(new Array<number>(1000).fill(0x1c)), false);
  assert.deepEqual(drain(keyboard), [0x00]);
});
