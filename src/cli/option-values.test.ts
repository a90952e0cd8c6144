import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseClientTimeout, parseExpected, parseSpin, parseMemory, parseTimeout } from './option-values.js';

test('memory is in MiB unless a unit says otherwise', () => {
  for (const [text, mib] of [
    ['256', 256],
    ['256M', 256],
    ['256MiB', 256],
    ['1g', 1],
    ['2G', 2],
    ['65536K', 64],
    [' 8 mb ', 8],
  ] as const)
    assert.equal(parseMemory(text), /g/i.test(text) ? mib * 1024 : mib, text);
});

test('memory out of range is refused with the range', () => {
  for (const text of ['0', '-1', '2049', '3G', '1K', '1.5', '', 'x', '1T', '99999999999'])
    assert.throws(
      () => parseMemory(text),
      { code: 'OPTION_INVALID', message: `--memory ${text}: expected whole MiB from 1 to 2048` },
      text,
    );
});

test('a timeout is in seconds with up to three decimals', () => {
  assert.equal(parseTimeout('30'), 30_000);
  assert.equal(parseTimeout('2.5'), 2500);
  for (const text of ['0', '-1', 'x', '1e3', '', '1000000000'])
    assert.throws(() => parseTimeout(text), { code: 'OPTION_INVALID' }, text);
});

test('an empty expected text is refused', () => {
  assert.equal(parseExpected('login:'), 'login:');
  assert.throws(() => parseExpected(''), { code: 'OPTION_INVALID' });
});

test('the client timeout is whole milliseconds or none', () => {
  assert.equal(parseClientTimeout('250'), 250);
  assert.equal(parseClientTimeout('none'), Infinity);
  for (const text of ['', '0', '-1', '1.5', '5s', 'Infinity'])
    assert.throws(() => parseClientTimeout(text), { code: 'OPTION_INVALID' });
});

test('the spin time is whole microseconds from 0 to 10000', () => {
  assert.equal(parseSpin('0'), 0);
  assert.equal(parseSpin('10000'), 10_000);
  for (const text of ['', '-1', '1.5', '10001', 'long', '1e3'])
    assert.throws(
      () => parseSpin(text),
      { code: 'OPTION_INVALID', message: `--spin ${text}: expected whole microseconds from 0 to 10000` },
      text,
    );
});
