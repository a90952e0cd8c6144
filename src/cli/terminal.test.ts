import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { constants } from 'node:os';
import { test } from 'node:test';
import { ENDING_SIGNALS } from './session-end.js';
import { OTHER_SIGNALS, RawTerminal, restoreTerminal } from './terminal.js';

const notOnLinux = process.platform === 'linux' ? false : 'the signals are those of Linux';

function made(): { terminal: RawTerminal; modes: boolean[]; events: EventEmitter; kills: string[] } {
  const modes: boolean[] = [];
  const kills: string[] = [];
  const kill = (pid: number, signal: NodeJS.Signals): unknown =>
    kills.push(`${signal} to ${pid}, ${events.listenerCount(signal)} listeners, raw ${modes.at(-1)}`);
  const events = Object.assign(new EventEmitter(), { pid: 7, kill });
  return { terminal: new RawTerminal({ setRawMode: (raw) => modes.push(raw) }, events), modes, events, kills };
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

test('each signal that ends or stops a process restores the terminal', { skip: notOnLinux }, () => {
  const cannotBeCaught = ['SIGKILL', 'SIGSTOP'];
  const endNothing = ['SIGCHLD', 'SIGCONT', 'SIGURG', 'SIGWINCH'];
  const ignoredByNode = ['SIGPIPE', 'SIGUSR1'];
  const ofTheBackground = ['SIGTTIN', 'SIGTTOU'];
  const faults = ['SIGILL', 'SIGBUS', 'SIGFPE', 'SIGSEGV'];
  const others = [...cannotBeCaught, ...endNothing, ...ignoredByNode, ...ofTheBackground, ...faults];
  // Two names are aliases, so numbers.
  const known: Readonly<Record<string, number>> = constants.signals;
  const numbers = [...OTHER_SIGNALS, ...ENDING_SIGNALS, ...others].map((name) => known[name]);
  assert.deepEqual([...new Set(numbers)].sort(), [...new Set(Object.values(known))].sort());
});

for (const signal of OTHER_SIGNALS.filter((each) => each !== 'SIGTSTP'))
  test(`${signal} restores the terminal and then has its default`, () => {
    const { terminal, events, kills } = made();
    terminal.enter();
    events.emit(signal);
    assert.deepEqual(kills, [`${signal} to 7, 0 listeners, raw false`]);
    assert.deepEqual(events.eventNames(), []);
  });

test('SIGTSTP restores the terminal and stops the process, and the terminal is raw again when it continues', () => {
  const { terminal, events, modes, kills } = made();
  terminal.enter();
  events.emit('SIGTSTP');
  assert.deepEqual(kills, ['SIGSTOP to 7, 0 listeners, raw false']);
  events.emit('SIGCONT');
  terminal.restore();
  assert.deepEqual(modes, [true, false, true, false]);
});

test('restoreTerminal() restores the terminal that is raw', () => {
  const { terminal, modes } = made();
  terminal.enter();
  restoreTerminal();
  restoreTerminal();
  assert.deepEqual(modes, [true, false]);
});
