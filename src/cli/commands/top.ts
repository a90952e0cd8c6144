/**
 * `upcall top`: a running guest's requests in a terminal, updated live. The guest is that of
 * another `upcall run --page`, or one of its own.
 *
 * Called by: main.ts.
 */

import type { Command } from 'commander';
import { withEnding } from '../session-ending.js';
import type { RunOptions } from './run-options.js';
import { addGuestOptions, planSession, type CommandContext } from './run.js';

const EXAMPLES = `
q or Ctrl-C quits. An address is the one that upcall run --page printed; that guest keeps running when top quits. A
guest of top's own has no console and ends with top. Without a terminal, one screen is printed each second.

Examples:
  upcall top 'http://127.0.0.1:40123/#…'        a guest that runs in another terminal
  upcall top monitor --cmdline 'repeat ffffffff in8 64'
  upcall top debian --run 'find / >/dev/null'`;

export function addTopCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('top')
    .summary('show the requests of a running guest, updated live')
    .description('Shows rates, latencies, slots and unclaimed accesses of a guest, four times a second.');
  addGuestOptions(command)
    .addHelpText('after', EXAMPLES)
    .action(async (guest: string | undefined, options: RunOptions) => {
      const { watchAddress, runAndWatch } = await import('./top-watch.js');
      if (guest !== undefined && /^https?:\/\//.test(guest)) await watchAddress(guest);
      else
        context.setStatus(
          await withEnding(
            options,
            context.reporter,
            (ending) => planSession(guest, options, context, ending),
            (plan, ending) => runAndWatch(plan, context.reporter, ending),
          ),
        );
    });
}
