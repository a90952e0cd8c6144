/**
 * The command line of the script runner: plays a script against the HSM and prints one JSON line
 * for each command. With `-` it reads standard input and answers each command as it comes.
 *
 * Called by: `npm run conformance:hsm`.
 */

import { createReadStream } from 'node:fs';
import { UpcallError } from '../io-request/upcall-error.js';
import { HsmScript } from './hsm-script.js';

/** A line that is longer while its end has not been read is refused: memory is bounded. */
const MAX_LINE = 65_536;

const [path, ...others] = process.argv.slice(2);
if (path === undefined || others.length > 0) {
  process.stderr.write('usage: conformance:hsm -- FILE.script, or - for standard input\n');
  process.exitCode = 2;
} else process.exitCode = await play(path, path === '-' ? process.stdin : createReadStream(path));

/** Returns the exit status: 0, or 1 if the file cannot be read or a line is not a command. */
async function play(name: string, input: AsyncIterable<Uint8Array>): Promise<number> {
  const script = new HsmScript();
  const decoder = new TextDecoder();
  let rest = '';
  let lineNumber = 0;
  const answers: string[] = [];
  const playLine = async (line: string): Promise<void> => {
    lineNumber++;
    const answer = await script.command(line);
    if (answer !== undefined) answers.push(`${JSON.stringify(answer)}\n`);
  };
  try {
    for await (const piece of input) {
      const lines = (rest + decoder.decode(piece, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) await playLine(line);
      if (rest.length > MAX_LINE) throw new UpcallError('OPTION_INVALID', `a line of more than ${MAX_LINE} characters`);
      await print(answers.splice(0));
    }
    await playLine(rest + decoder.decode());
    await print(answers);
    return 0;
  } catch (error) {
    await print(answers);
    const message =
      error instanceof UpcallError ? error.describe() : error instanceof Error ? error.message : String(error);
    const where = error instanceof UpcallError ? `${name}:${lineNumber}` : name;
    process.stderr.write(`${where}: ${message}\n`);
    return 1;
  }
}

function print(lines: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    if (lines.length === 0) resolve();
    else process.stdout.write(lines.join(''), () => resolve());
  });
}
