/** PasstPort with programs of the test in place of passt, and with the real one. */

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { macAt } from './ethernet.js';
import { PasstPort, type PasstOptions } from './passt-port.js';

const path = process.env['PATH'] ?? '';
const folder = mkdtempSync(join(tmpdir(), 'upcall-passt-'));
// Neither the program nor its stream keeps the process alive.
let alive: NodeJS.Timeout;
let port: PasstPort | undefined;

before(() => (alive = setInterval(() => undefined, 1000)));
afterEach(async () => {
  process.env['PATH'] = path;
  await port?.close();
  port = undefined;
});
after(() => {
  clearInterval(alive);
  rmSync(folder, { recursive: true });
});

/** What happens at the port, in order. */
interface Seen {
  readonly links: boolean[];
  readonly reports: string[];
  readonly frames: Uint8Array[];
  until(condition: () => boolean): Promise<void>;
}

async function start(options: PasstOptions = {}): Promise<Seen> {
  let wake: () => void = () => undefined;
  const seen: Seen = {
    links: [],
    reports: [],
    frames: [],
    until: async (condition) => {
      while (!condition()) await new Promise<void>((resolve) => (wake = resolve));
    },
  };
  const note = <T>(list: T[], value: T): void => {
    list.push(value);
    wake();
  };
  port = await PasstPort.start({ ...options, report: (text) => note(seen.reports, text) });
  port.connect({
    receive: (frame) => note(seen.frames, new Uint8Array(frame)),
    setLink: (isUp) => note(seen.links, isUp),
  });
  return seen;
}

/** Puts a shell script in front of the real passt. */
function passtIs(script: string): void {
  writeFileSync(join(folder, 'passt'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  process.env['PATH'] = `${folder}${delimiter}${path}`;
}

const NO_SHELL = process.platform === 'win32' && 'it starts shell scripts';

describe('a program in place of passt', { skip: NO_SHELL, timeout: 20_000 }, () => {
  test('that is missing is an error that names the package', async () => {
    process.env['PATH'] = join(folder, 'nothing');
    await assert.rejects(start(), { code: 'TOOL_MISSING', remedy: 'Install it: apt install passt' });
  });

  test('gets a descriptor, runs in the foreground, and reaches the loopback interface only on request', async () => {
    // A frame of the arguments: 4 bytes of length, then 14 and more of text.
    passtIs(
      'text="              $*"; printf "\\\\000\\\\000\\\\000\\\\$(printf %o ${#text})%s" "$text" >&3; cat <&3 >/dev/null',
    );
    for (const [options, expected] of [
      [{}, '--foreground --quiet --fd 3 --no-map-gw'],
      [{ loopback: true }, '--foreground --quiet --fd 3'],
    ] as const) {
      const seen = await start(options);
      await seen.until(() => seen.frames.length > 0);
      assert.equal(
        Buffer.from(seen.frames[0] as Uint8Array)
          .toString()
          .trim(),
        expected,
      );
      assert.deepEqual(seen.links, [true]);
      await port?.close();
      assert.deepEqual(seen.reports, []);
    }
  });

  test('that ends takes the link down, and is reported with its reason', async () => {
    passtIs('echo "Template interface: eth0" >&2; echo "No routable interface" >&2; exit 1');
    const seen = await start();
    await seen.until(() => seen.reports.length > 0 && seen.links.length > 1);
    assert.deepEqual(seen.links, [true, false]);
    assert.match(seen.reports[0] ?? '', /passt has ended \(status 1\).*link is down.*No routable interface/);
  });

  test('that is killed is reported, too', async () => {
    passtIs('kill -9 $$');
    const seen = await start();
    await seen.until(() => seen.reports.length > 0 && seen.links.length > 1);
    assert.match(seen.reports[0] ?? '', /signal SIGKILL.*gives no reason/);
  });

  test('that closes its stream and goes on is ended', async () => {
    passtIs('exec 3>&-; while :; do sleep 0.1; done');
    const seen = await start();
    await seen.until(() => seen.reports.length > 0);
    assert.match(seen.reports[0] ?? '', /signal SIGTERM/);
    assert.deepEqual(seen.links, [true, false]);
  });

  test('that sends no frames is ended', async () => {
    passtIs('printf "garbage without a length" >&3; while :; do sleep 0.1; done');
    const seen = await start();
    await seen.until(() => seen.reports.length > 0);
    assert.deepEqual([seen.links, seen.frames], [[true, false], []]);
  });

  test('that is closed has ended, even if it ignores the signal', async () => {
    passtIs(`trap '' TERM; echo $$ >${folder}/pid; while :; do sleep 0.1; done`);
    const seen = await start();
    await seen.until(() => seen.links.length > 0);
    await port?.close();
    assert.deepEqual(seen.reports, []);
  });
});

const noPasst =
  spawnSync('passt', ['--version']).status !== 0 && 'passt is not installed, or does not run here: apt install passt';

describe('passt', { skip: noPasst, timeout: 30_000 }, () => {
  /** A request for the hardware address of 198.51.100.1, from 198.51.100.2. */
  const REQUEST = Buffer.from(
    'ffffffffffff' +
      '525400000001' +
      '0806' +
      '0001080006040001' +
      '525400000001' +
      'c6336402' +
      '000000000000' +
      'c6336401',
    'hex',
  );

  test('answers a request for a hardware address', async () => {
    const seen = await start();
    port?.send(REQUEST);
    await seen.until(() => seen.frames.length > 0 || seen.reports.length > 0);
    assert.deepEqual(seen.reports, []);
    const answer = Buffer.from(seen.frames[0] as Uint8Array);
    assert.equal(macAt(answer, 0), 0x5254_0000_0001);
    assert.equal(answer.toString('hex', 12, 22), '08060001080006040002');
    assert.equal(answer.toString('hex', 28, 32), 'c6336401');
  });

  test('ends when its port is closed', async () => {
    const seen = await start();
    port?.send(REQUEST);
    await seen.until(() => seen.frames.length > 0 || seen.reports.length > 0);
    await port?.close();
    assert.deepEqual(seen.reports, []);
  });

  test('ends when its process is killed', { skip: process.platform !== 'linux' && '/proc is Linux' }, async () => {
    const owner = spawn(process.execPath, [OWNER], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(owner.stdout, 'data');
    const passt = childrenOf(owner.pid as number);
    assert.equal(passt.length, 1, `children: ${passt.join(' ')}`);
    owner.kill('SIGKILL');
    await once(owner, 'exit');
    // The test's time limit ends this.
    while (existsSync(`/proc/${passt[0]}`)) await new Promise((resolve) => setTimeout(resolve, 20));
  });
});

const OWNER = fileURLToPath(new URL('./fixtures/passt-owner.js', import.meta.url));

function childrenOf(pid: number): string[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .split(' ')
    .filter((child) => child !== '');
}
