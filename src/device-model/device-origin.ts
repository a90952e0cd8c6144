/**
 * The module that a device came from, so that a bug without a stack, such as a wrong result, can
 * name the file.
 *
 * Called by: placement/device-module.ts, which loads devices; CardFunction, for the devices that it
 * makes of a card's BARs; reload/reload-device.ts; device-value.ts, which reports wrong results.
 */

const origins = new WeakMap<object, string>();

/** `module`: a path or URL. */
export function setOrigin(device: object, module: string): void {
  origins.set(device, module);
}

export function originOf(device: object): string | undefined {
  return origins.get(device);
}

/** ` (in MODULE)`, or nothing for one that no module created. */
export function originText(device: object): string {
  const module = origins.get(device);
  return module === undefined ? '' : ` (in ${pathOf(module)})`;
}

/**
 * A file URL as a path, as the places of errors are written: without a query or fragment, by which
 * a module is imported anew. Other text stays as it is.
 */
function pathOf(module: string): string {
  if (!module.startsWith('file://')) return module;
  try {
    const path = module.slice('file://'.length).replace(/[?#].*$/, '');
    // On Windows the path begins with a drive: `/C:/…` is `C:/…`.
    return decodeURIComponent(path).replace(/^\/(?=[A-Za-z]:)/, '');
  } catch {
    return module;
  }
}
