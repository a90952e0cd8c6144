import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { ANSWER_QUEUE_LIMIT, I8042 } from './i8042.js';
import { I8042Status } from './i8042-registers.js';

const { OUTPUT_FULL, AUX_DATA, TIMEOUT, COMMAND, SYSTEM } = I8042Status;

function machine() {
  const resets: string[] = [];
  let level = false;
  let edges = 0;
  const controller = new I8042({
    power: { powerOff: () => assert.fail('no power-off was asked for'), reset: (reason) => resets.push(reason) },
    interrupt: {
      set: (high) => {
        if (high && !level) edges++;
        level = high;
      },
    },
  });
  const { data, command } = controller;
  const status = (): number => command.read(0, 1) as number;
  const drain = (): number[] => {
    const bytes: number[] = [];
    while ((status() & OUTPUT_FULL) !== 0) bytes.push(data.read(0, 1) as number);
    return bytes;
  };
  /** A command with its parameters, as a driver writes them. */
  const ask = (code: number, ...parameters: number[]): number[] => {
    void command.write(0, 1, code);
    for (const parameter of parameters) void data.write(0, 1, parameter);
    return drain();
  };
  const toKeyboard = (byte: number): number[] => {
    void data.write(0, 1, byte);
    return drain();
  };
  return { controller, data, command, status, drain, ask, toKeyboard, resets, line: () => level, edges: () => edges };
}

describe('controller commands', () => {
  test('the tests pass, except that of the port that is absent', () => {
    const { ask } = machine();
    assert.deepEqual(ask(0xaa), [0x55]);
    assert.deepEqual(ask(0xab), [0x00]);
    assert.deepEqual(ask(0xa9), [0x01]);
    assert.deepEqual(ask(0xa4), [0xf1], 'no password');
    assert.deepEqual(ask(0xc0), [0x80], 'not locked');
  });

  test('the configuration is read and written', () => {
    const { ask, status } = machine();
    assert.deepEqual(ask(0x20), [0x65], 'as firmware leaves it');
    assert.deepEqual(ask(0x60, 0x30), []);
    assert.deepEqual(ask(0x20), [0x30]);
    assert.equal(status() & SYSTEM, 0, 'the system flag follows');
    ask(0xa8);
    ask(0xae);
    assert.deepEqual(ask(0x20), [0x00]);
    ask(0xa7);
    ask(0xad);
    assert.deepEqual(ask(0x20), [0x30]);
  });

  test('the status shows whether the last write was a command', () => {
    const { command, data, status } = machine();
    void command.write(0, 1, 0xae);
    assert.equal(status() & COMMAND, COMMAND);
    void data.write(0, 1, 0xee);
    assert.equal(status() & COMMAND, 0);
  });

  test('a byte that is sent to a mouse times out', () => {
    const { ask, command, data, status, line } = machine();
    ask(0x20);
    void command.write(0, 1, 0xd4);
    void data.write(0, 1, 0xff);
    assert.equal(status() & (OUTPUT_FULL | AUX_DATA | TIMEOUT), OUTPUT_FULL | AUX_DATA | TIMEOUT);
    assert.equal(line(), false, 'it would be line 12');
    assert.equal(data.read(0, 1), 0xfe);
    assert.equal(status() & (OUTPUT_FULL | AUX_DATA | TIMEOUT), 0);
  });

  test('a byte written to the output buffer comes back, never as a byte of the mouse', () => {
    const { ask, command, data, status } = machine();
    assert.deepEqual(ask(0xd2, 0x5a), [0x5a]);
    void command.write(0, 1, 0xd3);
    void data.write(0, 1, 0x5a);
    assert.equal(status() & AUX_DATA, 0);
    assert.equal(data.read(0, 1), 0x5a);
  });

  test('unknown commands get no answer', () => {
    const { ask } = machine();
    for (const code of [0x00, 0x21, 0x7f, 0xa0, 0xb0, 0xe0]) assert.deepEqual(ask(code), []);
  });

  test('answers that the guest does not fetch are limited', () => {
    const { command, drain } = machine();
    for (let i = 0; i < 1000; i++) void command.write(0, 1, 0xaa);
    assert.equal(drain().length, ANSWER_QUEUE_LIMIT + 1);
  });
});

describe('reset', () => {
  test('by a pulse on the reset line', () => {
    const { command, resets } = machine();
    void command.write(0, 1, 0xff);
    void command.write(0, 1, 0xfd);
    assert.equal(resets.length, 0);
    void command.write(0, 1, 0xfe);
    assert.equal(resets.length, 1);
  });

  test('by the output port', () => {
    const { ask, resets } = machine();
    assert.deepEqual(ask(0xd0), [0xc3]);
    ask(0xd1, 0xdd);
    assert.deepEqual(ask(0xd0), [0xc1], 'the A20 bit is kept');
    assert.equal(resets.length, 0);
    ask(0xd1, 0xdc);
    assert.equal(resets.length, 1);
  });

  test('of either port resets the whole controller', () => {
    const { controller, data, ask, status, line } = machine();
    ask(0x60, 0x01);
    controller.pressKey([0x1c]);
    assert.equal(line(), true);
    data.reset?.();
    assert.equal(line(), false);
    assert.equal(status() & OUTPUT_FULL, 0);
    assert.deepEqual(ask(0x20), [0x65]);
  });
});

describe('the keyboard', () => {
  test('is found by a driver', () => {
    const { ask, toKeyboard } = machine();
    ask(0x60, 0x24);
    assert.deepEqual(toKeyboard(0xf2), [0xfa, 0xab, 0x83]);
    assert.deepEqual(toKeyboard(0xff), [0xfa, 0xaa]);
    assert.deepEqual(toKeyboard(0xed), [0xfa]);
    assert.deepEqual(toKeyboard(0x07), [0xfa]);
  });

  test('is translated to set 1, its identity too', () => {
    const { controller, drain, toKeyboard } = machine();
    assert.deepEqual(toKeyboard(0xf2), [0xfa, 0xab, 0x41]);
    controller.pressKey([0x1c]);
    controller.pressKey([0xf0, 0x1c]);
    assert.deepEqual(drain(), [0x1e, 0x9e]);
  });

  test('each byte is an edge of line 1', () => {
    const { controller, data, edges, line } = machine();
    controller.pressKey([0xe0, 0x75]);
    assert.equal(edges(), 1);
    assert.equal(data.read(0, 1), 0xe0);
    assert.equal(edges(), 2);
    assert.equal(data.read(0, 1), 0x48);
    assert.equal(line(), false);
    assert.equal(data.read(0, 1), 0x48, 'the buffer keeps its byte');
  });

  test('interrupts only when configured', () => {
    const { controller, ask, line } = machine();
    ask(0x60, 0x44);
    controller.pressKey([0x1c]);
    assert.equal(line(), false);
    void controller.command.write(0, 1, 0x60);
    void controller.data.write(0, 1, 0x45);
    assert.equal(line(), true, 'the byte is still there');
  });

  test('waits while the controller disables it; a byte to it enables it again', () => {
    const { controller, ask, drain, toKeyboard } = machine();
    ask(0xad);
    controller.pressKey([0x1c]);
    assert.deepEqual(drain(), []);
    ask(0xae);
    assert.deepEqual(drain(), []);
    ask(0xad);
    assert.deepEqual(toKeyboard(0xee), [0xee]);
    assert.deepEqual(ask(0x20), [0x65]);
  });
});

test('a wider access reaches its port only', () => {
  const { data, command } = machine();
  void command.write(0, 4, 0xffff_ff20);
  assert.equal(data.read(0, 4), 0xffff_ff65);
  assert.equal(data.read(1, 1), 0xff);
});
