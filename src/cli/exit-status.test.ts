import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ExitStatus, exitStatusHelp } from './exit-status.js';

test('every exit status is explained, and no line is too wide', () => {
  const help = exitStatusHelp(72).split('\n');
  for (const status of Object.values(ExitStatus))
    assert.ok(
      help.some((line) => line.startsWith(`  ${String(status).padStart(3)}  `)),
      `status ${status}`,
    );
  assert.ok(help.every((line) => line.length <= 72));
});
