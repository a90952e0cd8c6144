import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { compileClient, missing, Running, upcallHsm } from '../../acrn-programs/fixtures/programs.js';
import { programSupport } from '../../acrn-programs/support.js';
import { PageClient } from '../../dashboard/fixtures/page-client.js';
import { MAIN } from './upcall-process.js';

const LIMIT_MS = 60_000;
const skip = missing();
const filter = programSupport();
const withoutFilter = skip ?? (filter.available ? undefined : filter.reason);
const FRONTS = [
  ['filter', [], withoutFilter],
  ['shim', ['--shim'], skip],
] as const;

/** Resolves when what is printed says that it waits. Returns the page's origin and token. */
async function held(running: Running, what: RegExp): Promise<readonly [origin: string, token: string]> {
  const [, origin = '', token = ''] = await running.printed(/the live page is at (http:\S+)\/#(\S+)$/m);
  await running.printed(what);
  return [origin, token];
}

/** Opens the page as a browser does. */
async function open(origin: string, token: string): Promise<void> {
  const page = new PageClient(origin);
  await page.send({ kind: 'hello', token });
  await page.message('welcome');
}

describe('run --page-wait', { timeout: LIMIT_MS }, () => {
  const run = (): Running => new Running(process.execPath, [MAIN, 'run', 'hello', '--page', '--page-wait']);
  const waits = /the guest starts when the page is open/;

  test('starts the guest when a browser has opened the page', async () => {
    const running = run();
    const [origin, token] = await held(running, waits);
    const stranger = new PageClient(origin);
    await stranger.send({ kind: 'hello', token: 'x'.repeat(token.length) });
    await stranger.closed;
    await open(origin, token);
    const { status, output } = await running.ended;
    assert.equal(status, 0);
    assert.match(output, /\S/);
  });

  test('a signal ends it before that', async () => {
    const running = run();
    await held(running, waits);
    running.child.kill('SIGINT');
    const { status, output } = await running.ended;
    assert.equal(status, 130);
    assert.equal(output, '');
  });
});

describe('hsm --page-wait', { timeout: LIMIT_MS, skip: skip ?? false }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'upcall-page-wait-'));
  let client = '';
  before(() => (client = compileClient(folder)));
  after(() => rmSync(folder, { recursive: true }));

  const waits = /CREATE_VM returns when the page is open/;

  for (const [front, options, reason] of FRONTS) {
    test(`holds the program until a browser has opened the page (${front})`, { skip: reason ?? false }, async () => {
      const running = upcallHsm(folder, ...options, '--page', '--page-wait', '--', client, 'requests');
      await open(...(await held(running, waits)));
      const { status, output } = await running.ended;
      assert.equal(status, 0);
      assert.match(output, /^CREATE_VM 0$[^]*^stored 4660$/m);
    });

    test(`lets a signal end the program that is held (${front})`, { skip: reason ?? false }, async () => {
      const running = upcallHsm(folder, ...options, '--page', '--page-wait', '--', client, 'requests');
      await held(running, waits);
      running.child.kill('SIGINT');
      const { status, errors } = await running.ended;
      assert.equal(status, 130, errors);
      assert.match(errors, /the program was ended by SIGINT/);
    });
  }

  test('lets a signal end the server, and with it the program that is held', async () => {
    const socket = join(folder, 'server');
    const server = upcallHsm(folder, '--serve', socket, '--page', '--page-wait');
    await server.printed(/is served/);
    const program = upcallHsm(folder, '--connect', socket, '--shim', '--', client, 'waits');
    await held(server, waits);
    // The launcher's terminal has the lines, too.
    await held(program, waits);
    server.child.kill('SIGINT');
    assert.equal((await server.ended).status, 0);
    assert.match((await program.ended).errors, /the server \(process \d+\) has ended: the program is killed/);
  });
});
