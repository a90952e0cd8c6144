/**
 * Hypervisor modules: the files of `--hypervisor FILE`. The default export of such a JavaScript or
 * TypeScript file is a hypervisor, its class, or a function that returns one.
 *
 * Called by: hypervisor-choice.ts; commands/run.ts, for `isModuleName`.
 */

import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { host } from '../host/current.js';
import type { Hypercalls } from '../hypervisor/hypercalls.js';
import type { Availability, Hypervisor } from '../hypervisor/hypervisor.js';
import { messageWithPlace } from '../io-request/author-frame.js';
import { errorText } from '../io-request/error-text.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { withTimeout } from '../sync/bounded-wait.js';
import { moduleFileProblem } from './module-file.js';

/** Time limit for each call of a module, whose promise may never settle. */
export const MODULE_LIMIT_MS = 20_000;

const EXPORT_ONE =
  'Export as default a class with a name, available() and createVm(…), or a function that returns such a hypervisor; see docs/write-a-hypervisor.md';

/**
 * Whether `name` is a file and not the name of a hypervisor. Names have no dots and no slashes.
 */
export function isModuleName(name: string): boolean {
  return /[./\\]/.test(name);
}

/**
 * Loads the hypervisor of a module. Relative paths start at the working directory. Rejects with
 * HYPERVISOR_MODULE_INVALID.
 */
export async function loadHypervisor(file: string, limitMs = MODULE_LIMIT_MS): Promise<Hypervisor> {
  const path = resolve(file);
  const unfit = moduleFileProblem(path);
  if (unfit === 'no such file') throw invalid(`there is no hypervisor module ${file}`, 'Check the path');
  if (unfit !== undefined) throw invalid(`hypervisor module ${file}: ${unfit}`, 'Give a file');
  let exported: Record<string, unknown>;
  try {
    exported = await within(limitMs, file, 'loading it', host.importModule(pathToFileURL(path).href));
  } catch (error) {
    if (isTimeout(error)) throw error;
    throw invalid(
      `hypervisor module ${file} cannot be loaded: ${reason(error)}`,
      'Check that the file loads by itself: node FILE',
      error,
    );
  }
  const given = exported['default'];
  if (given === undefined) throw invalid(`hypervisor module ${file} has no default export`, EXPORT_ONE);
  let hypervisor: unknown;
  try {
    hypervisor = await within(limitMs, file, 'creating the hypervisor', instantiate(given));
  } catch (error) {
    if (isTimeout(error)) throw error;
    throw invalid(
      `hypervisor module ${file}: creating the hypervisor failed: ${reason(error)}`,
      'Correct the module; it is called without arguments',
      error,
    );
  }
  const problem = missingMember(hypervisor);
  if (problem !== undefined) throw invalid(`hypervisor module ${file}: its default export ${problem}`, EXPORT_ONE);
  return hypervisor as Hypervisor;
}

function instantiate(given: unknown): unknown {
  if (typeof given !== 'function') return given;
  const isClass = /^class\b/.test(Function.prototype.toString.call(given));
  return isClass ? Reflect.construct(given, []) : Reflect.apply(given, undefined, []);
}

/** What is wrong with `value` as a hypervisor, or undefined if it is one. */
function missingMember(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return 'is not a hypervisor and does not create one';
  const { name, available, createVm } = value as Partial<Record<keyof Hypervisor, unknown>>;
  if (typeof name !== 'string') return 'is or creates a hypervisor without a name';
  if (typeof available !== 'function') return 'is or creates a hypervisor without available()';
  return typeof createVm === 'function' ? undefined : 'is or creates a hypervisor without createVm()';
}

/**
 * The result of the module's own `available`. Rejects with HYPERVISOR_MODULE_INVALID if the call
 * fails or the result is invalid.
 */
export async function moduleAvailability(
  file: string,
  hypervisor: Hypervisor,
  limitMs = MODULE_LIMIT_MS,
): Promise<Availability> {
  let state: unknown;
  try {
    state = await within(limitMs, file, 'available()', hypervisor.available());
  } catch (error) {
    if (isTimeout(error)) throw error;
    throw invalid(
      `hypervisor module ${file}: available() failed: ${reason(error)}`,
      'Resolve to { available: false, reason, remedy } instead of throwing',
      error,
    );
  }
  const { available } = (state ?? {}) as Partial<Record<keyof Availability, unknown>>;
  if (typeof available === 'boolean') return state as Availability;
  throw invalid(
    `hypervisor module ${file}: available() resolved to a value without a boolean "available"`,
    'Resolve to { available: true, detail } or { available: false, reason, remedy }',
  );
}

/**
 * The hypervisor with a `createVm` that names the module when it fails, never ends, or resolves to
 * a value without the hypercalls. It rejects with HYPERVISOR_MODULE_INVALID then. The module's own
 * UpcallErrors stay as they are. The same holds for `stateVersion`, if the hypervisor has it.
 */
export function withCheckedVms(file: string, hypervisor: Hypervisor, limitMs = MODULE_LIMIT_MS): Hypervisor {
  const stateVersion = hypervisor.stateVersion?.bind(hypervisor);
  const whyNoSystem = hypervisor.whyNoSystem?.bind(hypervisor);
  return {
    name: hypervisor.name,
    longMode: hypervisor.longMode === true,
    available: () => hypervisor.available(),
    ...(stateVersion === undefined ? {} : { stateVersion: () => checkedVersion(file, stateVersion, limitMs) }),
    ...(whyNoSystem === undefined ? {} : { whyNoSystem }),
    createVm: async (...parts) => {
      let hypercalls: unknown;
      try {
        hypercalls = await within(limitMs, file, 'createVm()', hypervisor.createVm(...parts), RESOLVE_EARLY);
      } catch (error) {
        if (error instanceof UpcallError) throw error;
        throw invalid(
          `hypervisor module ${file}: createVm() failed: ${reason(error)}`,
          'Correct the module; its conformance test shows the call: see docs/write-a-hypervisor.md',
          error,
        );
      }
      const missing = missingHypercall(hypercalls);
      if (missing === undefined) return hypercalls as Hypercalls;
      throw invalid(
        `hypervisor module ${file}: createVm() resolved to ${missing}`,
        'Resolve to the hypercalls of the VM, for example those of ThreadedVm.create(…); see docs/write-a-hypervisor.md',
      );
    },
  };
}

async function checkedVersion(file: string, stateVersion: () => Promise<string>, limitMs: number): Promise<string> {
  let version: unknown;
  try {
    version = await within(limitMs, file, 'stateVersion()', stateVersion());
  } catch (error) {
    if (error instanceof UpcallError) throw error;
    throw invalid(`hypervisor module ${file}: stateVersion() failed: ${reason(error)}`, NAME_STATES, error);
  }
  if (typeof version === 'string') return version;
  throw invalid(`hypervisor module ${file}: stateVersion() resolved to ${typeof version}`, NAME_STATES);
}

const NAME_STATES = 'Resolve to a text that names the form of the saved states; see docs/write-a-hypervisor.md';

const CALLS: readonly (keyof Hypercalls)[] = [
  'setIoreqBuffer',
  'notifyRequestFinish',
  'setVcpuRegs',
  'startVm',
  'pauseVm',
  'resetVm',
  'destroyVm',
  'setIrqLine',
  'injectMsi',
];

/** What `value` is instead of the hypercalls of a VM, or undefined if it is those. */
function missingHypercall(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value;
  const given = value as Partial<Record<keyof Hypercalls, unknown>>;
  const call = CALLS.find((name) => typeof given[name] !== 'function');
  if (call !== undefined) return `an object without ${call}()`;
  if (typeof given.vcpuCount !== 'number') return 'an object without vcpuCount';
  const part = (['memory', 'shared'] as const).find((name) => typeof given[name] !== 'object' || given[name] === null);
  return part === undefined ? undefined : `an object without ${part}`;
}

const RESOLVE_EARLY = 'Let its promise settle: createVm resolves when the vCPUs are parked, before the guest runs';

/**
 * Settles as `work` does. Rejects after the limit, so that the command does not wait forever.
 * `what`: the call, for the message.
 */
function within<T>(
  limitMs: number,
  file: string,
  what: string,
  work: T | Promise<T>,
  remedy = 'Let each promise of the module settle; start slow work in createVm',
): Promise<T> {
  return withTimeout(limitMs, Promise.resolve(work), () => {
    throw invalid(`hypervisor module ${file}: ${what} did not end within ${limitMs / 1000} s`, remedy, TIMEOUT);
  });
}

/** The `cause` of an error of `within`. */
const TIMEOUT = Symbol('time limit');

function isTimeout(error: unknown): boolean {
  return error instanceof UpcallError && error.cause === TIMEOUT;
}

function reason(error: unknown): string {
  const { message, stack } = errorText(error);
  return messageWithPlace(message, stack);
}

function invalid(message: string, remedy: string, cause?: unknown): UpcallError {
  return new UpcallError('HYPERVISOR_MODULE_INVALID', message, { remedy, cause });
}
