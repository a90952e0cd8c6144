/**
 * Hypervisor modules: `--hypervisor FILE`, a JavaScript or TypeScript file that exports as default
 * a class of hypervisors, a function that returns one, or one.
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
 * Whether `name` is a file and not the name of a hypervisor: names have neither dots nor slashes.
 */
export function isModuleName(name: string): boolean {
  return /[./\\]/.test(name);
}

/**
 * Loads the hypervisor of a module; relative paths are from the working directory. Throws
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
    hypervisor = await created(given);
  } catch (error) {
    throw invalid(
      `hypervisor module ${file}: creating the hypervisor failed: ${errorText(error).message}`,
      'Correct the module; it is called without arguments',
      error,
    );
  }
  const lack = whatLacks(hypervisor);
  if (lack !== undefined) throw invalid(`hypervisor module ${file}: its default export ${lack}`, EXPORT_ONE);
  return hypervisor as Hypervisor;
}

function created(given: unknown): unknown {
  if (typeof given !== 'function') return given;
  const isClass = /^class\b/.test(Function.prototype.toString.call(given));
  return isClass ? Reflect.construct(given, []) : Reflect.apply(given, undefined, []);
}

/** What makes `value` no hypervisor, or undefined. */
function whatLacks(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return 'gives no hypervisor';
  const { name, available, createVm } = value as Partial<Record<keyof Hypervisor, unknown>>;
  if (typeof name !== 'string') return 'gives a hypervisor without a name';
  if (typeof available !== 'function') return 'gives a hypervisor without available()';
  return typeof createVm === 'function' ? undefined : 'gives a hypervisor without createVm()';
}

/**
 * What the module's own `available` says. Throws HYPERVISOR_MODULE_INVALID if it fails or says
 * nothing.
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
    `hypervisor module ${file}: available() resolved to neither yes nor no`,
    'Resolve to { available: true, detail } or { available: false, reason, remedy }',
  );
}

function invalid(message: string, remedy: string, cause?: unknown): UpcallError {
  return new UpcallError('HYPERVISOR_MODULE_INVALID', message, { remedy, cause });
}
