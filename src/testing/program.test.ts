/** Programs of accesses: their text, and how they are played. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { DeviceContext } from '../device-model/placement/device-module.js';
import { benchOf, Sound } from './fixtures/sound-device.js';
import { deviceBench, parseProgram, play, programText } from './index.js';

describe('a program', () => {
  const { registers } = new Sound({} as DeviceContext);

  test('reads as it is written', () => {
    const text =
      'write(CONTROL,0x1) write(0x2,1,0xff) write(1:0x10,4,0x0) read(STATUS) read(0x4,4)=0x1 read(ID)=0x34/0xff ' +
      'peek(ID)=0x1234 wait(9ms) wait(5us) line(5)=0x1 line()=0x0 raised(0)=0x2 store(0x100,4,0x5) load(0x100,2)=0x5 reset()';
    assert.equal(programText(parseProgram(text, registers)), text);
    assert.deepEqual(parseProgram('  # nothing\n', registers), []);
  });

  for (const [text, message] of [
    ['read(0)', /read\(0\) names no register. Known: CONTROL, STATUS, ID/],
    ['read(0,3)', /size that is not 1, 2 or 4/],
    ['write(CONTROL)', /has 1 arguments/],
    ['write(CONTROL,1)=1', /returns nothing/],
    ['read(CONTROL)=x', /"x" where a number of 32 bits belongs/],
    ['write(CONTROL,0x100000000)', /number of 32 bits/],
    ['wait(5)', /no time such as/],
    ['line(5)', /needs a value/],
    ['poke(1)', /is not write, read/],
    ['read CONTROL', /read is not a call/],
    ['reset(1)', /has 1 arguments/],
  ] as const)
    test(`${text} is refused with its reason`, () => {
      assert.throws(() => parseProgram(text, registers), { code: 'OPTION_INVALID', message });
    });

  test('stops at the first step that is not as expected, and says what came before', async () => {
    const bench = await benchOf(Sound)();
    await assert.rejects(play(bench, 'write(CONTROL,1) read(CONTROL)=0/0x1 read(ID)'), {
      name: 'PlayError',
      step: 1,
      message: 'sound: read(CONTROL)=0x0/0x1, but it is 0x1, after write(CONTROL,0x1)',
    });
    const thrower = await deviceBench(
      () => ({ name: 'x', read: () => assert.fail('broken'), write: () => undefined }),
      { length: 1 },
    );
    await assert.rejects(play(thrower, 'read(0,1)'), {
      name: 'PlayError',
      step: 0,
      message: /read\(0x0,1\) failed: broken/,
    });
  });
});
