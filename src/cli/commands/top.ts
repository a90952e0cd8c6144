/**
 * `upcall top`: a running guest's requests at a glance, in a terminal: of another
 * `upcall run --page`, or of a guest of its own.
 */

import type { Command } from 'commander';
import type { RunOptions } from './run-options.js';
import { addGuestOptions, planSession, type CommandContext } from './run.js';

const EXAMPLES = `
q or Ctrl-C leaves. An address is what upcall run --page printed; that guest goes on when top leaves. A guest of its
own has no console here, and ends when top leaves. Without a terminal, one screen is printed each second.

Examples:
  upcall top 'http://127.0.0.1:40123/#…'        a guest that runs in another terminal
  upcall top monitor --cmdline 'repeat ffffffff in8 64'
  upcall top debian --run 'find / >/dev/null'`;

export function addTopCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('top')
    .summary('the requests of a running guest at a glance')
    .description('Shows rates, latencies, slots and unclaimed accesses of a guest, four times a second.');
  addGuestOptions(command)
    .addHelpText('after', EXAMPLES)
    .action(async (guest: string | undefined, options: RunOptions) => {
      const { watchAddress, watchOwn } = await import('./top-watch.js');
      if (guest?.startsWith('http') === true) await watchAddress(guest);
      else context.setStatus(await watchOwn(await planSession(guest, options, context), context.reporter));
    });
}
