/**
 * testFileText: a test of a program that random-programs.ts has found, as a file for Node's test
 * runner.
 *
 * Called by: findFailingProgram, if its caller wants the file.
 */

export interface FailingProgram {
  /** The shrunk program, as `play` takes it. */
  readonly program: string;
  readonly message: string;
  readonly seed: number;
}

/** Where a found program becomes a test. */
export interface TestFile {
  /** Its path. An existing file is replaced. */
  readonly file: string;
  /** The module, as the test imports it, that exports the function which creates the bench. */
  readonly module: string;
  /** The name of that function. */
  readonly create: string;
}

const RUNNER = 'node:test';

export function testFileText({ program, message, seed }: FailingProgram, { module, create }: TestFile): string {
  return `// Found by random programs with seed ${seed}. Correct the device, and keep this test.

import { test } from '${RUNNER}';
import { play } from 'upcall/testing';
import { ${create} } from ${JSON.stringify(module)};

test(${JSON.stringify(message)}, async () => {
  const bench = await ${create}();
  try {
    await play(bench, ${JSON.stringify(program)});
    // Some faults show only here: a device that throws, for example.
    bench.reset();
  } finally {
    bench.close();
  }
});
`;
}
