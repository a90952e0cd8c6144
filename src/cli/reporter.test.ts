import assert from 'node:assert/strict';
import { test } from 'node:test';
import { oneLine, Reporter } from './reporter.js';

function made(): { reporter: Reporter; written: string[] } {
  const written: string[] = [];
  return { reporter: new Reporter({ write: (text) => written.push(text) }), written };
}

test('a line is prefixed with the program name and ends once', () => {
  const { reporter, written } = made();
  reporter.line('first\nsecond ');
  assert.deepEqual(written, ['upcall: first second\n']);
});

test('in a raw terminal lines end in CR LF', () => {
  const { reporter, written } = made();
  reporter.state.isRaw = true;
  reporter.line('x');
  reporter.text('a\nb\n');
  assert.deepEqual(written, ['upcall: x\r\n', 'a\r\nb\r\n']);
});

test('a message starts a new line if the guest left the cursor in the middle of one', () => {
  const { reporter, written } = made();
  reporter.state.isMidLine = true;
  reporter.line('x');
  reporter.line('y');
  assert.deepEqual(written, ['\nupcall: x\n', 'upcall: y\n']);
});

test('control characters in a message are escaped', () => {
  assert.equal(oneLine('\u001b[2Jevil\u0007 \u009b31m\r\nnext\tend'), '\\x1b[2Jevil\\x07 \\x9b31m next\\x09end');
});

test('a reporter about a subject names it in each line, and passes lines on, but no texts with their heading', () => {
  const { reporter, written } = made();
  const lines: string[] = [];
  const about = reporter.about('vm 1', (line) => lines.push(line));
  about.line('a\u001b');
  about.heading('its\u001b requests');
  about.text('| a table |\n');
  assert.deepEqual(written, ['upcall: vm 1: a\\x1b\n', 'upcall: vm 1: its\\x1b requests\n', '| a table |\n']);
  assert.deepEqual(lines, ['vm 1: a\\x1b']);
});
