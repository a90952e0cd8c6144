import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import type { ReadStream } from 'node:tty';
import { ScriptedHypervisor } from '../hypervisor/scripted/scripted-hypervisor.js';
import { ExitStatus } from './exit-status.js';
import { Reporter } from './reporter.js';
import { SessionEnding } from './session-ending.js';
import { runSession } from './session.js';

test('Ctrl-C right after the page’s address is printed ends the session cleanly', { timeout: 60_000 }, async () => {
  const lines: string[] = [];
  let listeners = 0;
  const reporter = new Reporter({
    write: (text: string) => {
      lines.push(text);
      if (!text.includes('the live page is at')) return;
      listeners = process.listenerCount('SIGINT');
      process.emit('SIGINT');
    },
  });
  const before = process.listenerCount('SIGINT');
  const input = new PassThrough() as unknown as ReadStream;
  // Its time limit ends a session that missed the signal.
  const ending = new SessionEnding(10_000);
  const status = await runSession(
    {
      hypervisor: new ScriptedHypervisor([{ steps: [] }]),
      vm: { memoryMiB: 1 },
      devices: [],
      cards: [],
      page: { port: 0, host: '127.0.0.1' },
      statistics: false,
      debug: false,
    },
    { input, output: new PassThrough(), reporter },
    ending,
  );
  ending.close();
  assert.equal(listeners, before + 1, 'the signal handler is installed before the address is printed');
  assert.equal(status, ExitStatus.INTERRUPTED);
  assert.match(lines.at(-1) ?? '', /ended by SIGINT/);
  assert.equal(process.listenerCount('SIGINT'), before);
});
