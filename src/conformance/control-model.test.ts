import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { ControlModel } from './fixtures/control-model.js';
import { commandOf, programs } from './fixtures/control-programs.js';
import { seeded, type Step } from './fixtures/random-commands.js';
import { HsmScript } from './hsm-script.js';

const main = fileURLToPath(new URL('./hsm-script-main.js', import.meta.url));

interface Played {
  readonly script: readonly string[];
  /** At the last line. */
  readonly difference?: string;
}

type Distortion = (answer: object, line: string) => object;

/**
 * Plays the steps on both, up to the first difference. `distort` makes the model wrong, for the
 * test of this test.
 */
async function play(steps: readonly Step[], distort: Distortion = (answer) => answer): Promise<Played> {
  const model = new ControlModel();
  const runner = new HsmScript();
  const script: string[] = [];
  for (const step of steps) {
    const line = commandOf(step, model, script.length);
    if (line === undefined) continue;
    script.push(line);
    const answer = distort(model.command(line), line);
    const actual = JSON.parse(JSON.stringify(await runner.command(line))) as object;
    try {
      assert.deepEqual(actual, answer);
    } catch (error) {
      return { script, difference: (error as Error).message };
    }
  }
  return { script };
}

/** What a failure prints: the script can be saved and played. */
function report({ script, difference }: Played): string {
  return `a conformance script that shows it, at its last line:\n${script.join('\n')}\n\n${String(difference)}`;
}

test('random programs: an open file answers as the model of the driver does', async () => {
  let commands = 0;
  await fc.assert(
    fc.asyncProperty(programs, async (steps) => {
      const played = await play(steps);
      commands += played.script.length;
      if (played.difference !== undefined) assert.fail(report(played));
    }),
    seeded(400),
  );
  assert.ok(commands > 5000, `${commands} commands`);
});

test('random programs reach every answer that the model knows', () => {
  const seen = new Set<string>();
  // The seed is a fixed one: which answers programs reach is a property of how they are made.
  for (const steps of fc.sample(programs, { seed: 1, numRuns: 400 })) {
    const model = new ControlModel();
    let count = 0;
    for (const step of steps) {
      const line = commandOf(step, model, count);
      if (line === undefined) continue;
      count++;
      const { ret, events } = model.command(line) as { ret: number | 'waits'; events: object[] };
      const [op = '', name = ''] = line.split(' ');
      seen.add(op === 'ioctl' || op === 'user' ? `${op} ${name} ${ret}` : op);
      for (const [key, value] of events.flatMap((event) => Object.entries(event) as [string, unknown][]))
        seen.add(key === 'attach' || key === 'log' ? `${key} ${String(value)}` : key);
    }
  }
  assert.deepEqual(
    MUST_BE_SEEN.filter((what) => !seen.has(what)),
    [],
  );
});

/** Ioctls, acts and other commands with their answers, and events. */
const MUST_BE_SEEN = [
  ...[0, -14, -22].map((ret) => `ioctl create-vm ${ret}`),
  ...[0, -1, -22].flatMap((ret) => ['start', 'reset', 'destroy'].map((name) => `ioctl ${name}-vm ${ret}`)),
  ...[0, -22].map((ret) => `ioctl pause-vm ${ret}`),
  ...[0, -1, -14, -22].map((ret) => `ioctl set-vcpu-regs ${ret}`),
  ...[0, -1, -14, -22].map((ret) => `ioctl set-memseg ${ret}`),
  ...[-1, -14, -22].map((ret) => `ioctl unset-memseg ${ret}`),
  ...[0, -17, -22].map((ret) => `ioctl create-ioreq-client ${ret}`),
  ...[0, -22].map((ret) => `ioctl destroy-ioreq-client ${ret}`),
  ...[0, -19, -22, 'waits'].map((ret) => `ioctl attach-ioreq-client ${ret}`),
  ...[0, -1, -14, -22].map((ret) => `ioctl notify-request-finish ${ret}`),
  ...[0, -22].map((ret) => `ioctl clear-vm-ioreq ${ret}`),
  ...[0, -1, -22].map((ret) => `ioctl set-irqline ${ret}`),
  ...[0, -1, -14, -22].map((ret) => `ioctl inject-msi ${ret}`),
  ...[0, -9, -14, -17, -22].map((ret) => `ioctl ioeventfd ${ret}`),
  ...[0, -9, -14, -16, -22].map((ret) => `ioctl irqfd ${ret}`),
  ...[0, -1, -14, -22].map((ret) => `ioctl pm-get-cpu-state ${ret}`),
  ...[-1, -14, -22].flatMap((ret) => [`ioctl create-vdev ${ret}`, `ioctl vm-intr-monitor ${ret}`]),
  ...[-22, -25].flatMap((ret) => [`ioctl 0xa2ee ${ret}`, `ioctl setup-asyncio ${ret}`]),
  ...[0, -9].map((ret) => `user signal ${ret}`),
  'user read -11',
  'user reopen 0',
  'attach 0',
  'attach -19',
  'signal',
  'msi',
  'line',
  'regs',
  'sleep',
  'handle',
  'notify',
  ...['no-client', 'notify-failed', 'injection-failed', 'handler-failed', 'flush-timeout'].map((log) => `log ${log}`),
];

/** Models with one wrong answer each, and how long the script may be that shows it. */
const WRONG_MODELS: readonly (readonly [what: string, distort: Distortion, longest: number])[] = [
  ['a second irqfd of an event is −EEXIST', wrong(/^ioctl irqfd/, -16, -17), 3],
  ['ATTACH without a client is −EINVAL', wrong(/^ioctl attach/, -19, -22), 2],
  ['an unknown code is −ENOTTY also before CREATE_VM', wrong(/^ioctl 0x/, -22, -25), 1],
  ['NOTIFY of a vCPU that is not there is 0', wrong(/^ioctl notify\S* vcpu=\S+ reserved=0$/, -22, 0), 3],
  ['a line that is not there is −EINVAL', wrong(/^ioctl set-irqline/, -1, -22), 2],
];

function wrong(line: RegExp, from: number, to: number): Distortion {
  return (answer, text) =>
    line.test(text) && 'ret' in answer && answer.ret === from ? { ...answer, ret: to } : answer;
}

for (const [what, distort, longest] of WRONG_MODELS) {
  test(`a wrong model is shown by a short script that the runner plays: ${what}`, async () => {
    const property = fc.asyncProperty(programs, async (steps) => {
      const played = await play(steps, distort);
      if (played.difference !== undefined) assert.fail(report(played));
    });
    const details = await fc.check(property, seeded(400));
    assert.ok(details.failed, `no program differs, seed ${details.seed}`);
    const printed = fc.defaultReportMessage(details);
    assert.match(printed, /seed: -?\d+/);
    const script = /at its last line:\n([\s\S]*?)\n\n/.exec(printed)?.[1]?.split('\n') ?? [];
    assert.ok(script.length > 0 && script.length <= longest, printed);
    const answers = runFile(script);
    const model = new ControlModel();
    const expected = script.map((line) => distort(model.command(line), line));
    assert.deepEqual(answers.slice(0, -1), expected.slice(0, -1));
    assert.notDeepEqual(answers.at(-1), expected.at(-1));
    const sound = new ControlModel();
    assert.deepEqual(
      answers,
      script.map((line) => sound.command(line)),
    );
  });
}

/** The script as a file, played by the command line. */
function runFile(script: readonly string[]): object[] {
  const folder = mkdtempSync(join(tmpdir(), 'upcall-script-'));
  try {
    const file = join(folder, 'shown.script');
    writeFileSync(file, script.join('\n'));
    const output = execFileSync(process.execPath, [main, file], { encoding: 'utf8' });
    return output
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
