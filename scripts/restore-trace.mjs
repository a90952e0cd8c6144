// Restores one snapshot again and again, and compares what its guest does: every request, with its
// value, in its order (src/vm/snapshot/fixtures/counting-guest.ts). Exit status: 0 if all restores
// made the same requests, otherwise 1.
//
//   npm run snapshot:trace                                     100 restores, 3,000 requests each
//   npm run snapshot:trace -- --restores 10 --requests 100000
//
// src/vm/snapshot/snapshot-trace.test.ts does the same with fewer requests.

import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { restoreCounting, startCounting } from '../dist/vm/snapshot/fixtures/counting-guest.js';
import { readOptions } from './script-options.mjs';

const HELP = `restore-trace [--restores N] [--requests N]: whether restores of one file make the same requests
  --restores N   number of restores (default: 100)
  --requests N   requests of the guest after each (default: 3000)
`;
/** Requests before the guest is saved. */
const BEFORE = 5000;

const { values } = readOptions(HELP, {
  options: {
    restores: { type: 'string', default: '100' },
    requests: { type: 'string', default: '3000' },
  },
});
const [restores, requests] = [Number(values.restores), Number(values.requests)];
if (!(Number.isInteger(restores) && restores > 0 && Number.isInteger(requests) && requests > 0)) {
  process.stderr.write(HELP);
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), 'upcall-restore-trace-'));
const file = join(folder, 'vm.snap');
/** Restores by what their guest did. */
const traces = new Map();
const startMs = performance.now();
try {
  const original = await startCounting();
  await original.recorder.until(BEFORE);
  await original.vm.save(file);
  await original.serviceVm.close();
  for (let restore = 0; restore < restores; restore++) {
    const { serviceVm, recorder } = await restoreCounting(file);
    await recorder.until(recorder.count + requests);
    await serviceVm.close();
    const trace = createHash('sha256').update(recorder.written.slice(0, requests).join('\n')).digest('hex');
    traces.set(trace, [...(traces.get(trace) ?? []), restore]);
  }
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  console.log(
    `${restores} restores of ${statSync(file).size} bytes, ${requests} requests each: ${traces.size} different traces, ${seconds} s`,
  );
  for (const [trace, which] of traces)
    console.log(`${trace.slice(0, 16)}: ${which.length} restores, first ${which[0]}`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = traces.size === 1 ? 0 : 1;
