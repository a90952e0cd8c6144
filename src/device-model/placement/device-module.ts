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
import { UpcallError } from '../../io-request/upcall-error.js';
import type { Clock } from '../clock.js';
import type { Device, InterruptLine } from '../device.js';

/** The part of its VM that a device of a module may use. */
export interface DeviceContext {
  /** `gsi`: the line's number, a global system interrupt. */
  interruptLine(gsi: number): InterruptLine;
  readonly memory: GuestMemory;
  readonly clock: Clock;
}

export type CreateDevice = (context: DeviceContext, options: unknown) => Device | Promise<Device>;

const REMEDY =
  'Export as default a class with read(offset, size) and write(offset, size, value), or a function that returns such a device';

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
    throw new UpcallError('DEVICE_MODULE_INVALID', `device module ${module}: ${message(error)}`, {
      remedy: 'Check the path and that the file loads by itself',
      cause: error,
    });
  }
  onLoaded?.();
  const create = exported['createDevice'] ?? exported['default'];
  if (typeof create !== 'function')
    throw new UpcallError('DEVICE_MODULE_INVALID', `device module ${module} exports no device`, { remedy: REMEDY });
  let device: unknown;
  try {
    device = isDeviceClass(create)
      ? Reflect.construct(create, [context, options])
      : await (create as CreateDevice)(context, options);
  } catch (error) {
    throw new UpcallError(
      'DEVICE_MODULE_INVALID',
      `device module ${module}: creating the device failed: ${message(error)}`,
      {
        remedy: (error instanceof UpcallError ? error.remedy : undefined) ?? REMEDY,
        cause: error,
      },
    );
  }
  if (!isDevice(device))
    throw new UpcallError('DEVICE_MODULE_INVALID', `device module ${module}: what it created has no read and write`, {
      remedy: REMEDY,
    });
  return device;
}

// eslint-disable-next-line @typescript-eslint/no-unsafe-function-type -- an export of any module, checked before it is called
function isDeviceClass(value: Function): boolean {
  // A class may have its methods as fields, which no prototype shows.
  if (/^class\b/.test(Function.prototype.toString.call(value))) return true;
  const prototype: unknown = value.prototype;
  return isDevice(prototype);
}

function isDevice(value: unknown): value is Device {
  if (typeof value !== 'object' || value === null) return false;
  const device = value as Partial<Device>;
  return typeof device.read === 'function' && typeof device.write === 'function';
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
