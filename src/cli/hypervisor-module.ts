/**
 * Hypervisor modules: the files of `--hypervisor FILE`. The default export of such a JavaScript or
 * TypeScript file is a hypervisor, its class, or a function that returns one.
 */

import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { host } from '../host/current.js';
import type { Availability, Hypervisor } from '../hypervisor/hypervisor.js';
import { errorText } from '../io-request/error-text.js';
import { UpcallError } from '../io-request/upcall-error.js';

const EXPORT_ONE =
  'Export as default a class with a name, available() and createVm(…), or a function that returns such a hypervisor; see docs/write-a-hypervisor.md';

/**
 * Whether `name` is a file and not the name of a hypervisor. Names have no dots and no slashes.
 */
export function isModuleName(name: string): boolean {
  return /[./\\]/.test(name);
}

/**
 * Loads the hypervisor of a module. Relative paths start at the working directory. Throws
 * HYPERVISOR_MODULE_INVALID.
 */
export async function loadHypervisor(file: string): Promise<Hypervisor> {
  const path = resolve(file);
  if (!existsSync(path)) throw invalid(`there is no hypervisor module ${file}`, 'Check the path');
  let exported: Record<string, unknown>;
  try {
    exported = await host.importModule(pathToFileURL(path).href);
  } catch (error) {
    throw invalid(
      `hypervisor module ${file} cannot be loaded: ${errorText(error).message}`,
      'Check that the file loads by itself: node FILE',
      error,
    );
  }
  const given = exported['default'];
  if (given === undefined) throw invalid(`hypervisor module ${file} has no default export`, EXPORT_ONE);
  let hypervisor: unknown;
  try {
    hypervisor = await instantiate(given);
  } catch (error) {
    throw invalid(
      `hypervisor module ${file}: creating the hypervisor failed: ${errorText(error).message}`,
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
 * The result of the module's own `available`. Throws HYPERVISOR_MODULE_INVALID if it fails or if
 * the result is invalid.
 */
export async function moduleAvailability(file: string, hypervisor: Hypervisor): Promise<Availability> {
  let state: unknown;
  try {
    state = await hypervisor.available();
  } catch (error) {
    throw invalid(
      `hypervisor module ${file}: available() failed: ${errorText(error).message}`,
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

function invalid(message: string, remedy: string, cause?: unknown): UpcallError {
  return new UpcallError('HYPERVISOR_MODULE_INVALID', message, { remedy, cause });
}
