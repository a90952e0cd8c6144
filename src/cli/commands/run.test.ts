import assert from 'node:assert/strict';
import { Command } from 'commander';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Reporter } from '../reporter.js';
import { SessionEnding } from '../session-ending.js';
import type { SessionPlan } from '../session.js';
import type { RunOptions } from './run-options.js';
import { addGuestOptions, planSession } from './run.js';

/** Any file that can be read. */
const FILE = fileURLToPath(import.meta.url);

/** The plan of a command line with the options of `upcall run`. */
async function planOf(...args: readonly string[]): Promise<SessionPlan> {
  const reporter = new Reporter({ write: () => undefined });
  const context = { reporter, debug: () => false, setStatus: () => undefined };
  let plan: SessionPlan | undefined;
  const command = addGuestOptions(new Command()).action(async (guest: string | undefined, options: RunOptions) => {
    const ending = new SessionEnding();
    plan = await planSession(guest, options, context, ending).finally(() => ending.close());
  });
  await command.parseAsync(args, { from: 'user' });
  assert.ok(plan !== undefined);
  return plan;
}

test('each option of a VM reaches the plan', async () => {
  const plan = await planOf('--spin', '7', '--memory', '8', '--polling', '--client-timeout', '250', '--late', 'wait');
  assert.equal(plan.spinUs, 7);
  assert.equal(plan.vm.memoryMiB, 8);
  assert.equal(plan.vm.completionPolling, true);
  assert.equal(plan.vm.clientTimeoutMs, 250);
  assert.equal(plan.vm.late, 'wait');
});

test('each option of a session reaches the plan', async () => {
  const plan = await planOf('hello', '--expect', 'text', '--timeout', '2.5', '--stats', '--page', '8080');
  assert.equal(plan.vm.name, 'hello');
  assert.equal(plan.expect, 'text');
  assert.equal(plan.timeoutMs, 2500);
  assert.equal(plan.statistics, true);
  assert.deepEqual(plan.page, { port: 8080 });
});

test('modules reach the image in their order, and the text begins at the first comma', async () => {
  const { image } = (await planOf('--module', `${FILE},a, b`, '--module', `${FILE},`, '--module', FILE)).vm;
  assert.ok(typeof image === 'object');
  assert.deepEqual(
    image.modules?.map(({ text }) => text),
    ['a, b', '', FILE],
  );
  assert.ok(image.modules.every(({ bytes }) => bytes.length > 0));
});

test('without options the plan is adaptive and has no limits', async () => {
  const plan = await planOf();
  assert.equal(plan.spinUs, undefined);
  assert.equal(plan.timeoutMs, undefined);
  assert.equal(plan.vm.completionPolling, false);
});
