/**
 * Where a module has its syntax error. Node's error for `import()` says what is wrong, but neither
 * the file nor the line. A Node process that is started with such a module prints both.
 *
 * Called by: files.ts, on demand.
 */

import { execFile } from 'node:child_process';
import { pathToFileURL } from 'node:url';

/** Time limit of the process. Without its answer the error stays as it is. */
const LIMIT_MS = 10_000;
/** The first line that the process prints: file or URL, then the line's number. */
const PLACE = /^(?:file:\/\/)?(\/.*|[A-Za-z]:[/\\].*):(\d+)$/m;

/**
 * Returns the error with the place in its message, or the same error if no place is found.
 * `module`: the URL or path that was imported. The error may be in a file that it imports.
 *
 * A process imports the module once more. Node parses a module and all that it imports before it
 * runs any of them, so none of their code runs there. The exception is a module that reaches the
 * wrong file by an `import()` of its own.
 */
export async function withSyntaxPlace(error: SyntaxError, module: string): Promise<SyntaxError> {
  // It was thrown by code that runs, for example JSON.parse, and has a place of its own.
  if (/^\s*at .*file:/m.test(error.stack ?? '')) return error;
  const url = module.startsWith('file:') ? module : pathToFileURL(module).href;
  const [, file, line] = PLACE.exec(await standardErrorOf(`import(${JSON.stringify(url)})`)) ?? [];
  if (file === undefined || line === undefined) return error;
  return new SyntaxError(`${error.message} (at ${decodeURI(file)}:${line})`, { cause: error });
}

/** What a Node process that runs `script` prints on standard error. */
function standardErrorOf(script: string): Promise<string> {
  return new Promise((resolve) => {
    const parameters = ['--input-type=module', '--eval', script];
    execFile(process.execPath, parameters, { timeout: LIMIT_MS }, (_failure, _output, errors) => resolve(errors));
  });
}
