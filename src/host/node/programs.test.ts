import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startProgram } from './programs.js';

const options = { skip: process.platform === 'win32' && 'it starts a shell', timeout: 20_000 };

/** Keeps the process alive, which neither the program nor its stream does. */
async function alive<T>(promise: Promise<T>): Promise<T> {
  const timer = setInterval(() => undefined, 1000);
  return promise.finally(() => clearInterval(timer));
}

test('a program reads and writes its descriptor 3', options, async () => {
  const program = await startProgram('sh', ['-c', 'read -r line <&3; echo "got $line" >&3']);
  let text = '';
  const ended = new Promise<void>((resolve) =>
    program.stream.start((bytes) => (text += Buffer.from(bytes).toString()), resolve),
  );
  program.stream.write(Buffer.from('hello\n'));
  await alive(ended);
  assert.equal(text, 'got hello\n');
  assert.deepEqual(await alive(program.ended), { how: 'status 0', lastLines: '' });
});

test('its end has its status and its last lines', options, async () => {
  const script = 'for i in 1 2 3 4 5; do echo "line $i"; done; echo "  why  " >&2; echo; exit 7';
  const { ended } = await startProgram('sh', ['-c', script]);
  const { how, lastLines } = await alive(ended);
  assert.equal(how, 'status 7');
  assert.match(lastLines, /why/);
  assert.equal(lastLines.split('; ').length, 3);
});

test('it is ended by a signal, and killed if it ignores that', options, async () => {
  const polite = await startProgram('sh', ['-c', 'read -r line <&3']);
  polite.end();
  assert.equal((await alive(polite.ended)).how, 'signal SIGTERM');
  const stubborn = await startProgram('sh', ['-c', "trap '' TERM; echo ready >&3; while :; do sleep 0.1; done"]);
  await alive(new Promise<void>((resolve) => stubborn.stream.start(() => resolve(), resolve)));
  stubborn.end();
  assert.equal((await alive(stubborn.ended)).how, 'signal SIGKILL');
});

test('a program that does not exist is an error of the host', options, async () => {
  await assert.rejects(startProgram('no-such-program', []), { code: 'ENOENT' });
});
