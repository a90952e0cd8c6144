/**
 * `upcall trace`: runs a guest as `upcall run` does and records every move of its requests, which
 * is every change of a slot's state (trace/).
 *
 * Called by: main.ts.
 */

import type { Command } from 'commander';
import { describeInterrupt, isInterrupt } from '../../trace/interrupt-reader.js';
import { describeMove } from '../../trace/move.js';
import type { UserVm } from '../../vm/user-vm.js';
import type { Reporter } from '../reporter.js';
import { withEnding, type SessionEnding } from '../session-ending.js';
import { addGuestOptions, planSession, type CommandContext } from './run.js';
import { TraceFiles, type TraceTarget } from './trace-files.js';
import { addTraceOptions, filterOf, type TraceOptions } from './trace-options.js';

const EXAMPLES = `
A request moves FREE → PENDING → PROCESSING → COMPLETE → FREE. Each move is recorded with its time, vCPU, actor, client
and request. Without a file the moves are lines on standard error. With --jsonl - the guest's console goes to standard
error too. Changes of interrupt lines, their
ends and messages are between the moves. docs/tracing.md describes the fields and the programs that open each format.

Examples:
  upcall trace monitor --tour --perfetto tour.pftrace         then open it in ui.perfetto.dev
  upcall trace hello --jsonl - 2>/dev/null | jq .request      the numbers of the requests
  upcall trace debian --run true --parquet boot.parquet       then: duckdb, select * from 'boot.parquet'
  upcall trace hello --client uart16550 --limit 8             two requests, as text
  upcall trace monitor --client uart16550 --interrupts        a device's requests, and all interrupts`;

export function addTraceCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('trace')
    .summary('run a guest and record every move of its requests')
    .description('Runs a guest as upcall run does and records every state change of its I/O requests.');
  addGuestOptions(addTraceOptions(command))
    .addHelpText('after', EXAMPLES)
    .action(async (guest: string | undefined, options: TraceOptions) => {
      const { reporter } = context;
      let summary: string | undefined;
      const prepare = async (ending: SessionEnding) => {
        const plan = await planSession(guest, options, context, ending);
        return { plan, targets: await targetsOf(options, plan.vm.name ?? 'vm') };
      };
      const status = await withEnding(options, reporter, prepare, async ({ plan, targets }, ending) => {
        const files = targets.length === 0 ? undefined : openFiles(targets, ending);
        const watch = async (vm: UserVm): Promise<void> => {
          summary = await writeMoves(vm, files, options, reporter);
        };
        const output = options.jsonl === '-' ? process.stderr : process.stdout;
        const { runSession } = await import('../session.js');
        return runSession({ ...plan, watch }, { input: process.stdin, output, reporter }, ending);
      });
      context.setStatus(status);
      if (summary !== undefined) reporter.line(summary);
    });
}

/**
 * Opening a FIFO blocks this thread until a reader opens it. Meanwhile a signal can end the process
 * only if it has no listener.
 */
function openFiles(targets: readonly TraceTarget[], ending: SessionEnding): TraceFiles {
  ending.removeSignalListeners();
  try {
    return new TraceFiles(targets);
  } finally {
    ending.addSignalListeners();
  }
}

/** Loads only the requested formats: other commands must not wait for their libraries. */
async function targetsOf({ perfetto, jsonl, parquet }: TraceOptions, name: string): Promise<TraceTarget[]> {
  const targets: TraceTarget[] = [];
  if (perfetto !== undefined) {
    const { PerfettoExport } = await import('../../trace/exports/perfetto.js');
    targets.push({ path: perfetto, trace: new PerfettoExport(name) });
  }
  if (jsonl !== undefined) {
    const { JsonLinesExport } = await import('../../trace/exports/json-lines.js');
    targets.push({ path: jsonl, trace: new JsonLinesExport(name) });
  }
  if (parquet !== undefined) {
    const { ParquetExport } = await import('../../trace/exports/parquet.js');
    targets.push({ path: parquet, trace: new ParquetExport(name) });
  }
  return targets;
}

/** Writes the moves until the VM ends, to the files or as text. Returns a summary in one line. */
async function writeMoves(
  vm: UserVm,
  files: TraceFiles | undefined,
  options: TraceOptions,
  reporter: Reporter,
): Promise<string> {
  let moves = 0;
  let lost = 0;
  const filter = filterOf(options);
  // With a filter of requests, interrupts are left out by default.
  const { interrupts: hasInterrupts = Object.keys(filter).length === 0 } = options;
  let interrupts = 0;
  for await (const event of hasInterrupts ? vm.inspection.traceWithInterrupts(filter) : vm.trace(filter)) {
    const isMove = !isInterrupt(event);
    if (files === undefined) reporter.text(`${isMove ? describeMove(event) : describeInterrupt(event)}\n`);
    else await files.add(event);
    // Events before this one that were overwritten in their ring before they were read.
    lost += event.lost;
    if (!isMove) interrupts++;
    else if (++moves === options.limit) break;
  }
  await files?.close();
  return `${moves} moves${interrupts === 0 ? '' : ` and ${interrupts} interrupt events`} traced${lost === 0 ? '' : `, ${lost} lost`}`;
}
