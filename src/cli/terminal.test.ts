import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { RawTerminal, restoreTerminal } from './terminal.js';

function made(): { terminal: RawTerminal; modes: boolean[]; events: EventEmitter } {
  const modes: boolean[] = [];
  const events = new EventEmitter();
  return { terminal: new RawTerminal({ setRawMode: (raw) => modes.push(raw) }, events), modes, events };
}

test('the terminal is raw from enter() to restore(), also if they are called twice', () => {
  const { terminal, modes, events } = made();
  terminal.restore();
  terminal.enter();
  terminal.enter();
  terminal.restore();
  terminal.restore();
  assert.deepEqual(modes, [true, false]);
  assert.deepEqual(events.eventNames(), []);
});

test('the end of the process restores the terminal', () => {
  const { terminal, modes, events } = made();
  terminal.enter();
  events.emit('exit');
  assert.deepEqual(modes, [true, false]);
});

test('the terminal is raw again after the process was stopped and continued', () => {
  const { terminal, modes, events } = made();
  terminal.enter();
  events.emit('SIGCONT');
  terminal.restore();
  events.emit('SIGCONT');
  assert.deepEqual(modes, [true, true, false]);
});

test('restoreTerminal() restores the terminal that is raw', () => {
  const { terminal, modes } = made();
  terminal.enter();
  restoreTerminal();
  restoreTerminal();
  assert.deepEqual(modes, [true, false]);
});
