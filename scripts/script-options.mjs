// readOptions: the options of a script, with `--help` and an error for wrong ones.

import { parseArgs } from 'node:util';

/**
 * As parseArgs of Node. Prints `help` and ends the process with 0 at `--help` or `-h`. Prints the
 * error and `help`, and ends it with 2, if an option is unknown or lacks its value.
 *
 * @template {import('node:util').ParseArgsConfig} T
 * @param {string} help whole lines
 * @param {T} config
 * @returns {ReturnType<typeof parseArgs<T>>}
 */
export function readOptions(help, config) {
  if (process.argv.slice(2).some((word) => word === '--help' || word === '-h')) {
    process.stdout.write(help);
    process.exit(0);
  }
  try {
    return parseArgs(config);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${help}`);
    process.exit(2);
  }
}
