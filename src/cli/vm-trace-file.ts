/**
 * vmTraceFiles: `--trace FILE` of `upcall hsm` and `upcall serve`, in which any number of VMs may
 * be created. The first VM's trace goes to FILE, that of the next to the same name with `-2` before
 * its extension.
 *
 * Called by: commands/hsm.ts, commands/serve.ts.
 */

import { extname } from 'node:path';
import { UpcallError } from '../io-request/upcall-error.js';
import type { TraceExport } from '../trace/exports/trace-export.js';
import type { UserVm } from '../vm/user-vm.js';
import { TraceFiles } from './commands/trace-files.js';

/** Each loads the library of its format only if it is asked for. */
const FORMATS: ReadonlyMap<string, (name: string) => Promise<TraceExport>> = new Map([
  [
    '.jsonl',
    async (name: string): Promise<TraceExport> =>
      new (await import('../trace/exports/json-lines.js')).JsonLinesExport(name),
  ],
  [
    '.pftrace',
    async (name: string): Promise<TraceExport> =>
      new (await import('../trace/exports/perfetto.js')).PerfettoExport(name),
  ],
  [
    '.parquet',
    async (name: string): Promise<TraceExport> => new (await import('../trace/exports/parquet.js')).ParquetExport(name),
  ],
]);

/**
 * Returns a function that opens the trace of a VM, as VmToolsOptions.trace. Both throw
 * OPTION_INVALID for a file that cannot be written, and this also for an unknown format.
 */
export function vmTraceFiles(path: string): (vm: Pick<UserVm, 'name'>) => Promise<TraceFiles> {
  const format = FORMATS.get(extname(path));
  if (format === undefined)
    throw new UpcallError('OPTION_INVALID', `--trace ${path}: its name says no format`, {
      remedy: `End it with ${[...FORMATS.keys()].join(', ')}`,
    });
  // An error now is better than at the first VM.
  void new TraceFiles([{ path, trace: { add: () => undefined, end: () => new Uint8Array() } }]).close();
  let count = 0;
  return async ({ name }) => {
    const end = extname(path);
    const own = ++count === 1 ? path : `${path.slice(0, -end.length)}-${count}${end}`;
    return new TraceFiles([{ path: own, trace: await format(name) }]);
  };
}
