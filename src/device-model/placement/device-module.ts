/**
 * Device modules: files that export a device, so that it can be loaded by name. They export, as
 * `default` or as `createDevice`, a class of devices or a function that creates one. Both get a
 * DeviceContext and the options of the caller that attaches the device.
 *
 * Called by: the thread of a device or card (device-thread.ts), reload/reload-device.ts, the
 * benches of `upcall/testing`, the command line, and programs that load a device into the Service
 * VM's thread. docs/write-a-device.md shows a module.
 */

import { host } from '../../host/current.js';
import type { GuestMemory } from '../../hypervisor/guest-memory.js';
import { messageWithPlace } from '../../io-request/author-frame.js';
import { errorText } from '../../io-request/error-text.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import type { Clock } from '../clock.js';
import type { Device, InterruptLine } from '../device.js';
import { setOrigin } from '../device-origin.js';
import { cardProblem } from '../pci/card-description.js';
import type { PciCard } from '../pci/pci-card.js';

/** The part of its VM that a device of a module may use. */
export interface DeviceContext {
  /** `gsi`: the line's number, a global system interrupt. */
  interruptLine(gsi: number): InterruptLine;
  readonly memory: GuestMemory;
  readonly clock: Clock;
}

export type CreateDevice = (context: DeviceContext, options: unknown) => Device | Promise<Device>;

const CARD_FORM =
  'Export as default a class with a name, pci, read(bar, offset, size) and write(bar, offset, size, value), or a function that returns such a card';
const FORM =
  'Export as default a class with a name, read(offset, size) and write(offset, size, value), or a function that returns such a device';

/** What a module may hold: a device or a PCI card. */
interface Kind {
  readonly what: 'device' | 'card';
  readonly form: string;
  /** What is wrong with a value as one. */
  readonly problem: (value: unknown) => string | undefined;
}

const DEVICE: Kind = { what: 'device', form: FORM, problem: missingMember };
const CARD: Kind = { what: 'card', form: CARD_FORM, problem: cardProblem };

/** Loads a module by its path or URL, and resolves with its exports. */
export type ImportModule = (module: string) => Promise<Record<string, unknown>>;

/**
 * Loads a JavaScript or TypeScript module, a path or URL, and creates its device. Calls `onLoaded`
 * between loading and creating. `importModule`: default: that of the host, which loads each module
 * once. Rejects with DEVICE_MODULE_INVALID.
 */
export async function loadDevice(
  module: string,
  context: DeviceContext,
  options: unknown,
  onLoaded?: () => void,
  importModule?: ImportModule,
): Promise<Device> {
  return (await load(DEVICE, module, context, options, onLoaded, importModule)) as Device;
}

/** As `loadDevice`, for a module that exports a PCI card. */
export async function loadCard(
  module: string,
  context: DeviceContext,
  options: unknown,
  onLoaded?: () => void,
  importModule?: ImportModule,
): Promise<PciCard> {
  return (await load(CARD, module, context, options, onLoaded, importModule)) as PciCard;
}

async function load(
  { what, form, problem }: Kind,
  module: string,
  context: DeviceContext,
  options: unknown,
  onLoaded?: () => void,
  importModule: ImportModule = (name) => host.importModule(name),
): Promise<object> {
  let exported: Record<string, unknown>;
  try {
    exported = await importModule(module);
  } catch (error) {
    throw invalid(module, reason(error), 'Check the path and that the file loads by itself', error);
  }
  onLoaded?.();
  const create = exported['createDevice'] ?? exported['default'];
  if (typeof create !== 'function') throw invalid(module, exportsOf(exported, what), form);
  let device: unknown;
  try {
    device = await createdBy(create, context, options);
  } catch (error) {
    const own = error instanceof UpcallError ? error.remedy : undefined;
    const remedy = own ?? 'Correct the module, or the options that it was given';
    throw invalid(module, `creating the ${what} failed: ${reason(error)}`, remedy, error);
  }
  let missing: string | undefined;
  try {
    missing = problem(device);
  } catch (error) {
    // A getter of its class has thrown.
    throw invalid(module, `reading the ${what}'s members failed: ${reason(error)}`, form, error);
  }
  if (missing !== undefined) throw invalid(module, `the ${what} that it created ${missing}`, form);
  setOrigin(device as object, module);
  return device as object;
}

/** What the module exports instead of a device or card. */
function exportsOf(exported: Record<string, unknown>, what: string): string {
  for (const name of ['createDevice', 'default'])
    if (exported[name] !== undefined)
      return `exports no ${what}: its ${name} is of type ${typeof exported[name]}, not a class or function`;
  const names = Object.keys(exported);
  const only = names.length === 0 ? 'nothing' : `only ${names.join(', ')}`;
  return `exports no ${what}: it exports ${only}, neither default nor createDevice`;
}

/** Calls what a module exports: a class of devices or cards, or a function that makes one. */
// eslint-disable-next-line @typescript-eslint/no-unsafe-function-type -- an export of any module, checked before it is called
export async function createdBy(create: Function, context: DeviceContext, options: unknown): Promise<unknown> {
  return isDeviceClass(create)
    ? (Reflect.construct(create, [context, options]) as unknown)
    : await (create as CreateDevice)(context, options);
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
  if ('pci' in value) return 'is a PCI card, which has no range of its own: use attachCard, or @pci';
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
