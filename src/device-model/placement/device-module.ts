/**
 * Device modules: files that export a device, so that it can be loaded by name. They export, as
 * `default` or as `createDevice`, a class of devices or a function that creates one. Both get a
 * DeviceContext and the options of the caller that attaches the device.
 *
 * Called by: the thread of a device (device-thread.ts), the command line, and programs that load a
 * device into the Service VM's thread. docs/write-a-device.md shows a module.
 */

import { host } from '../../host/current.js';
import type { GuestMemory } from '../../hypervisor/guest-memory.js';
import { messageWithPlace } from '../../io-request/author-frame.js';
import { errorText } from '../../io-request/error-text.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import type { Clock } from '../clock.js';
import type { Device, InterruptLine } from '../device.js';
import { setOrigin } from '../device-origin.js';

/** The part of its VM that a device of a module may use. */
export interface DeviceContext {
  /** `gsi`: the line's number, a global system interrupt. */
  interruptLine(gsi: number): InterruptLine;
  readonly memory: GuestMemory;
  readonly clock: Clock;
}

export type CreateDevice = (context: DeviceContext, options: unknown) => Device | Promise<Device>;

const FORM =
  'Export as default a class with a name, read(offset, size) and write(offset, size, value), or a function that returns such a device';

/**
 * Loads a JavaScript or TypeScript module, a path or URL, and creates its device. Calls `onLoaded`
 * in between. Throws DEVICE_MODULE_INVALID.
 */
export async function loadDevice(
  module: string,
  context: DeviceContext,
  options: unknown,
  onLoaded?: () => void,
): Promise<Device> {
  let exported: Record<string, unknown>;
  try {
    exported = await host.importModule(module);
  } catch (error) {
    throw invalid(module, reason(error), 'Check the path and that the file loads by itself', error);
  }
  onLoaded?.();
  const create = exported['createDevice'] ?? exported['default'];
  if (typeof create !== 'function') throw invalid(module, exportsOf(exported), FORM);
  let device: unknown;
  try {
    device = isDeviceClass(create)
      ? Reflect.construct(create, [context, options])
      : await (create as CreateDevice)(context, options);
  } catch (error) {
    const own = error instanceof UpcallError ? error.remedy : undefined;
    const remedy = own ?? 'Correct the module, or the options that it was given';
    throw invalid(module, `creating the device failed: ${reason(error)}`, remedy, error);
  }
  let missing: string | undefined;
  try {
    missing = missingMember(device);
  } catch (error) {
    // A getter of its class.
    throw invalid(module, `reading the device's members failed: ${reason(error)}`, FORM, error);
  }
  if (missing !== undefined) throw invalid(module, `the device that it created ${missing}`, FORM);
  setOrigin(device as Device, module);
  return device as Device;
}

/** What the module exports instead of a device. */
function exportsOf(exported: Record<string, unknown>): string {
  for (const name of ['createDevice', 'default'])
    if (exported[name] !== undefined)
      return `exports no device: its ${name} is of type ${typeof exported[name]}, not a class or function`;
  const names = Object.keys(exported);
  const only = names.length === 0 ? 'nothing' : `only ${names.join(', ')}`;
  return `exports no device: it exports ${only}, neither default nor createDevice`;
}

// eslint-disable-next-line @typescript-eslint/no-unsafe-function-type -- an export of any module, checked before it is called
function isDeviceClass(value: Function): boolean {
  // A class may have its methods as fields, which no prototype shows.
  if (/^class\b/.test(Function.prototype.toString.call(value))) return true;
  const { read, write } = (value.prototype ?? {}) as Partial<Device>;
  return typeof read === 'function' && typeof write === 'function';
}

/** What is wrong with `value` as a device, or undefined if it is one. */
export function missingMember(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return `is ${value === null ? 'null' : typeof value}`;
  const { name, read, write } = value as Partial<Record<keyof Device, unknown>>;
  if (typeof name !== 'string' || name === '') return 'has no name';
  if (typeof read !== 'function') return typeof write === 'function' ? 'has no read' : 'has no read and write';
  return typeof write === 'function' ? undefined : 'has no write';
}

function reason(error: unknown): string {
  const { message, stack } = errorText(error);
  return messageWithPlace(message, stack);
}

function invalid(module: string, what: string, remedy: string, cause?: unknown): UpcallError {
  return new UpcallError('DEVICE_MODULE_INVALID', `device module ${module}: ${what}`, { remedy, cause });
}
