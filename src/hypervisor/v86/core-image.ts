/**
 * The core's image: the edited and compiled v86.wasm, once in each process. vCPU threads get the
 * compiled module by structured cloning, so that they share its machine code.
 *
 * Called by: V86Hypervisor, in the Service VM's thread.
 */

import { host } from '../../host/current.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import { checkModule } from './core-exports.js';
import { testCore } from './self-test.js';
import { editCore, MISMATCH_REMEDY } from './wasm-edit.js';

/** The version whose internals core-layout.ts describes. */
export const CORE_VERSION = '0.5.462';
export const CORE_SHA256 = 'aa0d0e149d6b60063b85de4871e78505637ce92821e14a9f9802c4008ba2336e';

let image: Promise<WebAssembly.Module> | undefined;
let identity = '';
const IDENTITY_DIGITS = 16;

/**
 * The module, ready to be instantiated. Rejects with HYPERVISOR_UNAVAILABLE if the package is
 * missing, and with CORE_MISMATCH if it is another version or fails the self-test.
 */
export function loadCoreImage(): Promise<WebAssembly.Module> {
  image ??= coreFile()
    .then(load)
    .catch((error: unknown) => {
      image = undefined;
      throw error;
    });
  return image;
}

/**
 * Names the edited core, once `loadCoreImage` has resolved: two cores with this name are the same.
 */
export function coreIdentity(): string {
  return identity;
}

/**
 * The path of the installed package's core. Rejects with HYPERVISOR_UNAVAILABLE if there is no
 * package.
 */
export async function coreFile(): Promise<string> {
  try {
    return await host.packageFile('v86/build/v86.wasm');
  } catch (cause) {
    throw new UpcallError('HYPERVISOR_UNAVAILABLE', 'the package v86, which holds the CPU core, is not installed', {
      remedy: `Run: npm install v86@${CORE_VERSION} --save-exact`,
      cause,
    });
  }
}

/**
 * Reads, checks, edits and compiles the core in `file`, and tests it once on each engine. Rejects
 * with CORE_MISMATCH if it is not the one that upcall expects.
 */
export async function load(file: string, selfTest = testCore): Promise<WebAssembly.Module> {
  const bytes = await host.readFile(file);
  const sha256 = await sha256Of(bytes);
  if (sha256 !== CORE_SHA256)
    throw new UpcallError(
      'CORE_MISMATCH',
      `${file} has the SHA-256 ${sha256}, not ${CORE_SHA256} of v86@${CORE_VERSION}`,
      {
        remedy: MISMATCH_REMEDY,
      },
    );
  const edited = editCore(bytes);
  const digest = sha256Of(edited);
  // Its largest functions are its translator. V8 would optimise them during the guest's first
  // second, on the CPUs of the vCPU and of its devices (decision 39).
  const module = host.compileOptimisedLate(edited) as WebAssembly.Module;
  const editedSha256 = await digest;
  identity = editedSha256.slice(0, IDENTITY_DIGITS);
  const fact = await selfTestFact(editedSha256);
  checkModule(module);
  if (!(await host.isRecorded(fact))) {
    selfTest(module);
    await host.record(fact);
  }
  return module;
}

/**
 * That the self-test passed, as a file name. It holds for these bytes on this engine: the test
 * takes a fifth of the time to the first request, so it is not repeated at each start.
 */
async function selfTestFact(editedSha256: string): Promise<string> {
  const what = `${host.engine}: ${editedSha256}`;
  return `core-self-test-${await sha256Of(new TextEncoder().encode(what))}`;
}

/** In hexadecimal digits. */
async function sha256Of(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
