// @ts-check
/**
 * node bench/picture.js [FILE]: measures the steps of a request (cases/steps.js, the fastest of a
 * few runs) and draws them as an SVG. Default FILE: docs/images/request-nanoseconds.svg. Build
 * first.
 */

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { STEPS } from './cases/steps.js';

const RUNS = 3;
const CASE = fileURLToPath(new URL('case.js', import.meta.url));
const file = process.argv[2] ?? fileURLToPath(new URL('../docs/images/request-nanoseconds.svg', import.meta.url));

const WIDTH = 760;
const LEFT = 230;
const ROW = 30;
const TOP = 46;
const BAR = 16;

const totals = STEPS.map((_, index) => {
  let quickest = Infinity;
  for (let run = 0; run < RUNS; run++) {
    const line = execFileSync(process.execPath, [CASE, 'cases/steps.js', String(index)], { encoding: 'utf8' });
    quickest = Math.min(quickest, JSON.parse(line.trim().split('\n').pop() ?? '').value);
  }
  console.log(`${quickest.toFixed(1).padStart(6)} ns  ${STEPS[index]}`);
  return quickest;
});
const end = Math.max(...totals);
const scale = (WIDTH - LEFT - 70) / end;
const bars = STEPS.map((step, index) => {
  const from = index === 0 ? 0 : Math.min(totals[index - 1] ?? 0, totals[index] ?? 0);
  const to = totals[index] ?? 0;
  const y = TOP + index * ROW;
  const own = to - (index === 0 ? 0 : (totals[index - 1] ?? 0));
  return `  <text x="${LEFT - 12}" y="${y + 13}" text-anchor="end">${step}</text>
  <rect class="${index === 0 ? 'atomic' : 'ours'}" x="${(LEFT + from * scale).toFixed(1)}" y="${y}" width="${Math.max(1, (to - from) * scale).toFixed(1)}" height="${BAR}"/>
  <text class="number" x="${(LEFT + to * scale + 6).toFixed(1)}" y="${y + 13}">${index === 0 ? '' : '+'}${own.toFixed(0)} ns</text>`;
}).join('\n');
const height = TOP + STEPS.length * ROW + 14;
writeFileSync(
  file,
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" font-size="13">
  <style>
    text { fill: #24292f } .number { font-variant-numeric: tabular-nums }
    .atomic { fill: #57606a } .ours { fill: #2f6fb5 }
    @media (prefers-color-scheme: dark) { text { fill: #d0d7de } .atomic { fill: #8c959f } .ours { fill: #6cb0f5 } }
  </style>
  <text x="12" y="24" font-size="15">A request in one thread: ${end.toFixed(0)} ns, each part on top of the ones above</text>
${bars}
</svg>
`,
);
console.log(`drawn: ${file}`);
