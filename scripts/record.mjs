// @ts-check
/**
 * npm run record: makes the two recordings of the README, docs/images/terminal.gif and
 * docs/images/page.gif.
 *
 * It runs the real program: the terminal's bytes come from a pseudo terminal and are drawn by
 * xterm.js, the page is opened in Chromium. It needs chromium, ffmpeg, gifsicle and script
 * (util-linux), and takes about a minute.
 */

import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const root = fileURLToPath(new URL('..', import.meta.url));
const images = join(root, 'docs/images');
const scratch = mkdtempSync(join(tmpdir(), 'upcall-record-'));
const MAIN = join(root, 'dist/bundle/upcall.js');
const COLUMNS = 96;
const ROWS = 26;
const FRAMES_PER_SECOND = 5;
const PAGE_FRAMES_PER_SECOND = 3;
/** Of each recording: README shows both. */
const LIMIT_BYTES = 900_000;

/** What is typed in the terminal: seconds to wait before it, and the text. */
const TYPED = /** @type {const} */ ([
  [2.5, 'in8 71; out8 80 42; in32 600\r'],
  [1.5, 'clock\r'],
  [1.5, 'pci\r'],
  [1.5, 'time in8 3ff 100000.\r'],
  [2, 'irq 0 500.\r'],
  [2, 'poweroff\r'],
]);

for (const tool of ['ffmpeg', 'gifsicle', 'script', 'chromium'])
  if (spawnSync('which', [tool]).status !== 0) {
    console.error(`${tool} is missing; install the packages chromium, ffmpeg, gifsicle and bsdutils`);
    process.exit(2);
  }
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));
mkdirSync(images, { recursive: true });
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
});
await recordTerminal();
await recordPage();
await browser.close();

/** Runs a session in a pseudo terminal, then draws what it printed, frame by frame. */
async function recordTerminal() {
  const frames = mkdtempSync(join(scratch, 'terminal-'));
  const chunks = await session();
  const page = await browser.newPage({ viewport: { width: 860, height: 520 }, deviceScaleFactor: 1 });
  await page.setContent(
    '<body style="margin:0;background:#16181d"><div id="screen" style="padding:10px"></div></body>',
  );
  const xterm = join(root, 'node_modules/@xterm/xterm');
  await page.addStyleTag({ path: join(xterm, 'css/xterm.css') });
  await page.addScriptTag({ path: join(xterm, 'lib/xterm.js') });
  await page.evaluate(`
    globalThis.screen_ = new Terminal({ cols: ${COLUMNS}, rows: ${ROWS}, fontSize: 14, fontFamily: 'DejaVu Sans Mono, monospace',
      theme: { background: '#16181d', foreground: '#d7dae0' }, convertEol: false });
    screen_.open(document.getElementById('screen'));`);
  const end = (chunks.at(-1)?.atMs ?? 0) + 2500;
  let next = 0;
  let count = 0;
  for (let ms = 0; ms <= end; ms += 1000 / FRAMES_PER_SECOND) {
    let text = '';
    while (next < chunks.length && /** @type {Chunk} */ (chunks[next]).atMs <= ms) text += chunks[next++]?.text;
    await page.evaluate(`new Promise((done) => screen_.write(${JSON.stringify(text)}, done))`);
    await page.locator('#screen').screenshot({ path: frameFile(frames, count++) });
  }
  await page.close();
  makeGif(frames, 'terminal.gif', FRAMES_PER_SECOND);
}

/** @typedef {{ readonly atMs: number, readonly text: string }} Chunk */

/** @returns {Promise<readonly Chunk[]>} */
async function session() {
  /** @type {Chunk[]} */
  const chunks = [];
  const command = `stty cols ${COLUMNS} rows ${ROWS}; exec node ${MAIN} run monitor --stats`;
  const child = spawn('script', ['-qfec', command, '/dev/null'], { env: { ...process.env, TERM: 'xterm-256color' } });
  const prompt = '\x1b[1;32m$\x1b[0m ';
  chunks.push({ atMs: 0, text: prompt });
  const typed = './upcall run monitor --stats';
  [...typed].forEach((character, index) => chunks.push({ atMs: 400 + 45 * index, text: character }));
  const offset = 400 + 45 * typed.length + 300;
  chunks.push({ atMs: offset, text: '\r\n' });
  const start = performance.now();
  child.stdout.on('data', (/** @type {Buffer} */ bytes) =>
    chunks.push({ atMs: offset + performance.now() - start, text: bytes.toString() }),
  );
  const ended = new Promise((resolve) => child.once('exit', resolve));
  for (const [seconds, text] of TYPED) {
    await sleep(seconds * 1000);
    for (const character of text) {
      child.stdin.write(character);
      await sleep(45);
    }
  }
  await ended;
  return chunks;
}

/** Opens the live page of a running monitor, stops a request at it and lets it go. */
async function recordPage() {
  const frames = mkdtempSync(join(scratch, 'page-'));
  const child = spawn(process.execPath, [MAIN, 'run', 'monitor', '--page'], { stdio: ['pipe', 'ignore', 'pipe'] });
  let printed = '';
  child.stderr.on('data', (/** @type {Buffer} */ bytes) => (printed += bytes.toString()));
  while (!/http:\S+/.test(printed)) await sleep(50);
  const page = await browser.newPage({ viewport: { width: 1280, height: 720 }, deviceScaleFactor: 1 });
  await page.goto(String(/http:\S+/.exec(printed)?.[0]));
  let count = 0;
  let isOver = false;
  const camera = (async () => {
    while (!isOver) {
      const nextMs = performance.now() + 1000 / PAGE_FRAMES_PER_SECOND;
      await page.screenshot({ path: frameFile(frames, count++) });
      await sleep(Math.max(0, nextMs - performance.now()));
    }
  })();
  const type = async (/** @type {string} */ text) => {
    await page.keyboard.press('c');
    await page.keyboard.type(text, { delay: 40 });
    await page.keyboard.press('Enter');
    await page.keyboard.press('Control+]');
  };
  await sleep(2500);
  await type('time in8 3ff 20000.');
  await sleep(2500);
  await type('repeat 40 in8 71');
  await sleep(3000);
  await page.getByRole('button', { name: 'Hold at PENDING' }).click();
  await sleep(1000);
  await type('pci');
  await sleep(2000);
  for (let i = 0; i < 4; i++) {
    await page.getByRole('button', { name: 'Step', exact: true }).click();
    await sleep(700);
  }
  await page.getByRole('button', { name: 'Hold at PENDING' }).click();
  await page.getByRole('button', { name: 'Continue all' }).click();
  await sleep(2000);
  isOver = true;
  await camera;
  child.kill('SIGINT');
  await page.close();
  makeGif(frames, 'page.gif', PAGE_FRAMES_PER_SECOND, 'scale=960:-1:flags=lanczos,');
}

function frameFile(/** @type {string} */ folder, /** @type {number} */ index) {
  return join(folder, `${String(index).padStart(4, '0')}.png`);
}

function makeGif(
  /** @type {string} */ folder,
  /** @type {string} */ name,
  /** @type {number} */ framesPerSecond,
  scale = '',
) {
  const file = join(images, name);
  const filter = `${scale}split[a][b];[a]palettegen=max_colors=48:stats_mode=diff[p];[b][p]paletteuse=dither=none:diff_mode=rectangle`;
  run('ffmpeg', [
    '-y',
    '-loglevel',
    'error',
    '-framerate',
    String(framesPerSecond),
    '-i',
    join(folder, '%04d.png'),
    '-vf',
    filter,
    file,
  ]);
  run('gifsicle', ['--batch', '-O3', '--lossy=40', file]);
  const { size } = statSync(file);
  console.log(`docs/images/${name}: ${Math.round(size / 1000)} kB`);
  if (size > LIMIT_BYTES) {
    console.error(`that is more than ${LIMIT_BYTES / 1000} kB`);
    process.exitCode = 1;
  }
}

function run(/** @type {string} */ tool, /** @type {string[]} */ args) {
  const { status } = spawnSync(tool, args, { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
