/**
 * The module that a device came from, so that a bug without a stack, such as a wrong result, can
 * name the file.
 *
 * Called by: placement/device-module.ts, which loads devices; DeviceClient, which reports bugs.
 */

import type { Device } from './device.js';

const origins = new WeakMap<Device, string>();

/** `module`: a path or URL. */
export function setOrigin(device: Device, module: string): void {
  origins.set(device, module);
}

/** ` (in MODULE)`, or nothing for a device that no module created. */
export function originText(device: Device): string {
  const module = origins.get(device);
  return module === undefined ? '' : ` (in ${pathOf(module)})`;
}

/** A file URL as a path, as the places of errors are written. Other text stays as it is. */
function pathOf(module: string): string {
  if (!module.startsWith('file://')) return module;
  try {
    return decodeURIComponent(module.slice('file://'.length)).replace(/^\/(?=[A-Za-z]:)/, '');
  } catch {
    return module;
  }
}
