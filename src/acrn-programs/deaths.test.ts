import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  expectHonest,
  interruptClients,
  isSettled,
  killClients,
  sufferScribbler,
  type Campaign,
} from './fixtures/deaths.js';
import { compileClient, missing, Running } from './fixtures/programs.js';
import { seededRandom, TestServer, type FrontEnd } from './fixtures/test-server.js';
import { programSupport } from './support.js';

// Small budgets: npm run programs has larger ones.
const KILLS = 28;
const INTERRUPTS = 6;
const SCRIBBLES_MS = 800;
const HEAP_MIB = 4;

const skip = missing();
const filter = programSupport();
const fronts: readonly FrontEnd[] = filter.available ? ['filter', 'shim'] : ['shim'];

describe('the server of clients', { skip: skip ?? false }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'upcall-deaths-'));
  let server: TestServer;
  let client = '';
  let campaign: Campaign;
  before(async () => {
    client = compileClient(folder, 'corner-client');
    server = await TestServer.create(folder);
    campaign = { server, client, fronts, random: seededRandom(1) };
  });
  after(async () => {
    await server.close();
    rmSync(folder, { recursive: true });
  });

  test(`that are killed at random moments goes on, with what it had`, async (context) => {
    const { before, after } = await killClients(campaign, KILLS);
    context.diagnostic(`${JSON.stringify(before)} ${JSON.stringify(after)}`);
    assert.ok(isSettled(before, after), `${JSON.stringify(before)} ${JSON.stringify(after)}`);
    assert.ok(after.heapMiB - before.heapMiB < HEAP_MIB);
    assert.ok(after.externalMiB - before.externalMiB < HEAP_MIB);
    for (const front of fronts) await expectHonest(campaign, front);
  });

  test('that are interrupted at random moments ends each VM', async (context) => {
    const longestMs = await interruptClients(campaign, INTERRUPTS);
    context.diagnostic(`the longest end took ${longestMs.toFixed()} ms`);
    assert.ok(longestMs < 2000, `${longestMs} ms`);
  });

  for (const front of fronts)
    test(`of which one writes random bytes wherever it can serves the others (${front})`, async (context) => {
      const { calls, sessions } = await sufferScribbler(campaign, front, SCRIBBLES_MS);
      context.diagnostic(`${calls} random ioctls, ${sessions} other sessions`);
      assert.ok(calls > 0 && sessions > 0);
    });

  for (const front of fronts)
    test(`has sealed the memory that it shares (${front})`, async () => {
      const { output } = await (await server.start(front, client, 'truncate', `${process.pid}`)).ended;
      assert.match(output, /^mapped 1$/m);
      assert.match(output, /^destroy 0$/m);
      for (const [, what, result] of output.matchAll(/^(shorter|longer|not sealed) (.*)$/gm))
        assert.equal(result, '-1', what);
      assert.match(output, /^shorter/m);
    });

  test('does not exist without a launcher: a program finds no device', async () => {
    const { output } = await new Running(client, ['honest', '1']).ended;
    assert.match(output, /^open -2$/m);
  });
});
