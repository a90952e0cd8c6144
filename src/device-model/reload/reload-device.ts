/**
 * reloadableDevice and reloadableCard: load a module so that it can be loaded anew while its device
 * or card is in use.
 *
 * Called by: placement/device-thread.ts, for a device in a thread of its own; the command line, for
 * one in the Service VM's thread.
 */

import { host } from '../../host/current.js';
import type { Device } from '../device.js';
import { originOf, setOrigin } from '../device-origin.js';
import type { PciCard } from '../pci/pci-card.js';
import { loadCard, loadDevice, type DeviceContext, type ImportModule } from '../placement/device-module.js';
import { DeviceReloader } from './device-reloader.js';
import { Gate } from './gate.js';
import { gatedContext } from './gated-context.js';
import type { Generation, Reloadable, Reloaded } from './generation.js';
import type { ReloadObserver } from './reload-observer.js';
import { ReloadableCard } from './reloadable-card.js';
import { ReloadableDevice } from './reloadable-device.js';
import { SharedOutputs } from './shared-outputs.js';

export interface ReloadParts {
  /** A path or URL. */
  readonly module: string;
  readonly options: unknown;
  readonly context: DeviceContext;
  readonly observer: ReloadObserver;
  /** The module is loaded for the first time. Its device is not created yet. */
  readonly onLoaded?: () => void;
  /** The `close` of a device that was replaced has thrown. */
  readonly onCloseError: (error: unknown) => void;
}

/** A device or card, and what loads it anew. */
export interface WithReload<T> {
  readonly device: T;
  readonly reload: () => void;
}

/** Rejects as `loadDevice`. */
export async function reloadableDevice(parts: ReloadParts): Promise<WithReload<Device>> {
  const { device, reload } = await withReload(
    parts,
    loadDevice,
    (first: Generation<Device>) => new ReloadableDevice(first),
  );
  return { device: device as Device, reload };
}

/** Rejects as `loadCard`. */
export async function reloadableCard(parts: ReloadParts): Promise<WithReload<PciCard>> {
  const { device, reload } = await withReload(
    parts,
    loadCard,
    (first: Generation<PciCard>) => new ReloadableCard(first),
  );
  return { device: device as PciCard, reload };
}

type Load<T> = (
  module: string,
  context: DeviceContext,
  options: unknown,
  onLoaded?: () => void,
  importModule?: ImportModule,
) => Promise<T>;

async function withReload<T extends Reloaded & object, R extends Reloadable<T>>(
  { module, options, context, observer, onLoaded, onCloseError }: ReloadParts,
  load: Load<T>,
  createReloadable: (first: Generation<T>) => R,
): Promise<WithReload<R>> {
  const outputs = new SharedOutputs((gsi) => context.interruptLine(gsi));
  const create = async (gate: Gate, whenLoaded?: () => void): Promise<T> => {
    const files = new Set<string>();
    let isComplete = false;
    const importModule: ImportModule = async (name) => {
      try {
        const exports = await host.importAnew(name, (file) => files.add(file));
        isComplete = true;
        return exports;
      } finally {
        observer.onFiles([...files], isComplete);
      }
    };
    return load(module, gatedContext(context, outputs, gate), options, whenLoaded, importModule);
  };
  const gate = new Gate();
  const first = { device: await create(gate, onLoaded), gate };
  gate.open();
  const device = createReloadable(first);
  // For reports of wrong results, which have no stack.
  setOrigin(device, originOf(first.device) ?? module);
  const onOutcome = observer.onOutcome.bind(observer);
  const reloader = new DeviceReloader<T>({ target: device, create, onOutcome, onCloseError });
  return { device, reload: () => reloader.reload() };
}
